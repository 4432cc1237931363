"""An upper goes from overlayfs to this program and back: each shows what the other wrote.

The lowers and the upper stay on disk; only what mounts them changes. Overlayfs has ``redirect_dir`` and ``metacopy``
on, as here, and no index, whose form is its own.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.filesystems import KERNEL, FileSystem, Mounted, mounted
from tests.posix.syscalls import RENAME_EXCHANGE, renameat2
from tests.posix.table import OURS, row
from tests.snapshots import Snapshot, differences, snapshot
from tests.stacks import EMPTY, OPAQUE, WHITEOUT, File, Layer, Symlink

OPTIONS = ("redirect_dir=on", "metacopy=on", "index=off")
BOTTOM: Layer = {
    "f": File(b"f" * 5000, xattrs={"user.k": b"v"}),
    "g": File(b"g" * 5000),
    "d/a": File(b"a"),
    "d/b": File(b"b"),
    "d/sub/c": File(b"c"),
    "tree/x/y": File(b"y"),
    "link": Symlink("f"),
    "other/z": File(b"z"),
}
TOP: Layer = {"d/a": WHITEOUT, "d/top": File(b"top"), "tree/x": OPAQUE, "tree/x/t": File(b"t")}

SESSIONS: dict[str, tuple[Callable[[Path], object], ...]] = {
    "writing": (lambda root: (root / "f").write_bytes(b"written"),),
    "attributes alone": (lambda root: (root / "f").chmod(0o600),),
    "attributes and a rename": (
        lambda root: (root / "g").chmod(0o600),
        lambda root: (root / "g").rename(root / "d/g2"),
    ),
    "removing": (lambda root: (root / "f").unlink(), lambda root: shutil.rmtree(root / "tree")),
    "removing and making again": (lambda root: shutil.rmtree(root / "d"), lambda root: (root / "d").mkdir()),
    "renaming a file": (lambda root: (root / "f").rename(root / "d/f2"),),
    "renaming a directory": (lambda root: (root / "d").rename(root / "other/d2"),),
    "renaming a directory within its parent": (lambda root: (root / "d/sub").rename(root / "d/sub2"),),
    "exchanging": (lambda root: renameat2(root / "d", root / "f", RENAME_EXCHANGE),),
    "links": (lambda root: os.link(root / "f", root / "f2"), lambda root: (root / "f2").chmod(0o640)),
    "a new file over a directory": (
        lambda root: shutil.rmtree(root / "d/sub"),
        lambda root: (root / "d/sub").touch(),
    ),
    "a mark from inside": (lambda root: os.setxattr(root / "other", "trusted.overlay.opaque", b"y"),),
}
# Numbers and times that belong to who mounts, not to what is mounted.
OWN = frozenset({"ino", "ctime_ns"})


def _as_shown_by(filesystem: FileSystem, stack: Mounted) -> Snapshot:
    """Mount the stack by another file system, look, and unmount."""
    stack.filesystem = filesystem
    stack.options = OPTIONS
    stack.mount()
    try:
        return snapshot(stack.root)
    finally:
        stack.unmount()


@pytest.mark.parametrize("session", SESSIONS)
@row(on=OURS)
def test_overlayfs_shows_what_was_written_here(filesystem: FileSystem, session: str) -> None:
    with mounted(filesystem, [TOP, EMPTY, BOTTOM], EMPTY, options=OPTIONS) as stack:
        for change in SESSIONS[session]:
            change(stack.root)
        here = snapshot(stack.root)
        stack.unmount()
        there = _as_shown_by(KERNEL, stack)
        assert differences(here, there, OWN) == []
        assert differences(here, _as_shown_by(filesystem, stack), OWN) == []


@pytest.mark.parametrize("session", SESSIONS)
@row(on=OURS)
def test_what_overlayfs_wrote_is_shown_here(filesystem: FileSystem, session: str) -> None:
    with mounted(KERNEL, [TOP, EMPTY, BOTTOM], EMPTY, options=OPTIONS) as stack:
        for change in SESSIONS[session]:
            change(stack.root)
        there = snapshot(stack.root)
        stack.unmount()
        here = _as_shown_by(filesystem, stack)
        assert differences(there, here, OWN) == []
        assert differences(there, _as_shown_by(KERNEL, stack), OWN) == []
