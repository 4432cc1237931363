"""A view beside a mount of the same layers: the kernel's overlayfs, and this program's own."""

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.filesystems import KERNEL, TRANSPORTS, FileSystem, mounted
from tests.oracles import contradictions
from tests.snapshots import Entry, Snapshot, snapshot
from tests.stacks import OPAQUE, WHITEOUT, Device, Directory, Fifo, File, HardLink, Layer, Symlink
from unionfs.layer.attributes import Attributes
from unionfs.view import View, open_view

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="kernel overlayfs is mounted by root alone")

LOWERS: Sequence[Layer] = [
    {
        "dir": Directory(mode=0o700, uid=1),
        "dir/gone": WHITEOUT,
        "dir/new": File(content=b"new", xattrs={"user.x": b"1", "trusted.y": b"2"}),
        "opaque": OPAQUE,
        "opaque/new": File(content=b"n"),
        "file-over-dir": File(content=b"f"),
        "dir-over-file/x": Symlink("../dir"),
    },
    {
        "dir/gone": File(content=b"g"),
        "dir/old": File(content=b"old", mode=0o4711, uid=7, gid=8),
        "dir/link": HardLink("dir/old"),
        "opaque/old": File(),
        "file-over-dir/below": File(),
        "dir-over-file": File(),
        "sub/deep/file": File(content=b"d" * 5000),
        "sub/deep/other": File(content=b"o"),
        "linked": File(content=b"l"),
        "linked-too": HardLink("linked"),
        "null": Device(stat.S_IFCHR, 1, 3, mode=0o666),
        "pipe": Fifo(),
    },
]


def seen(view: View) -> Snapshot:
    """Read all that a view shows, as ``snapshot`` reads a directory."""
    return {os.fsdecode(path) or ".": described(view, path, shown) for path, shown in view.walk()}


def described(view: View, path: bytes, shown: Attributes) -> Entry:
    content = os.fsdecode(view.readlink(path)) if stat.S_ISLNK(shown.mode) else ""
    if shown.is_regular:
        digest = hashlib.sha256()
        with view.open(path) as file:
            piece = file.readall()
        if piece.strip(b"\0"):
            digest.update(b"0:" + piece)
        content = digest.hexdigest()
    return Entry(
        mode=shown.mode, uid=shown.uid, gid=shown.gid, rdev=shown.rdev, ino=shown.ino, content=content,
        size=0 if shown.is_directory else shown.size, nlink=0 if shown.is_directory else shown.nlink,
        mtime_ns=shown.mtime_ns, ctime_ns=shown.ctime_ns,
        xattrs={os.fsdecode(name): value for name, value in view.xattrs(path).items()},
    )  # fmt: skip


@pytest.mark.parametrize("system", [KERNEL, TRANSPORTS[0]], ids=lambda system: system.name)
def test_layers_show_what_a_mount_of_them_shows(system: FileSystem) -> None:
    with mounted(system, LOWERS, None) as stack, open_view(stack.lowers) as view:
        assert contradictions(snapshot(stack.root), seen(view)) == []


def change(root: Path) -> None:
    """Let an upper get each kind of mark."""
    (root / "sub").rename(root / "moved")
    (root / "dir/old").chmod(0o600)
    (root / "linked").write_text("changed")
    (root / "opaque/new").unlink()
    (root / "dir/made").mkdir()
    os.mkfifo(root / "dir/made/pipe")
    os.setxattr(root / "moved/deep/other", "user.z", b"3")


@pytest.mark.parametrize("system", [KERNEL, TRANSPORTS[0]], ids=lambda system: system.name)
def test_an_upper_shows_what_the_mount_showed(system: FileSystem) -> None:
    # The kernel's own index of hard links, which is of its file handles, is nobody else's to read.
    options = ("redirect_dir=on", "metacopy=on", *(("index=off",) if system is KERNEL else ()))
    with mounted(system, LOWERS, {}, options=options) as stack:
        change(stack.root)
        expected = snapshot(stack.root)
        stack.unmount()
        with open_view(stack.lowers, stack.upper, stack.work) as view:
            assert contradictions(expected, seen(view)) == []
