"""A flattened upper, shown by overlays that know nothing of this program: as its own mount showed it before.

Kernel overlayfs has its default options, which neither write nor expect redirects, metadata-only files or an index;
fuse-overlayfs is Debian's.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.filesystems import TRANSPORTS, Attachment, FileSystem, KernelOverlay, Mounted, mounted
from tests.model.operations import KINDS, Actor
from tests.model.strategies import Example, examples, operation_of, tree_of
from tests.mounts import is_mounted, unmount_or_detach
from tests.oracles import contradictions
from tests.snapshots import Snapshot, snapshot
from tests.stacks import (
    EMPTY,
    HOLDS_XATTR_WHITEOUTS,
    WHITEOUT,
    XATTR_WHITEOUT,
    Directory,
    File,
    Layer,
    Node,
    Symlink,
    moved,
)
from tests.union.test_flatten import BOTTOM, SESSIONS, TOP
from tests.unions import EVERYTHING, Kernel, Stack
from unionfs.layer.attributes import Attributes

UNIONFS = Path(sys.executable).with_name("unionfs")
ASKED = os.environ.get("MODEL_EXAMPLES")


@dataclass
class _FuseOverlay:
    process: "subprocess.Popen[bytes]"
    mountpoint: Path

    def detach(self) -> None:
        assert unmount_or_detach(self.mountpoint)
        assert self.process.wait(20) == 0


@dataclass(frozen=True)
class FuseOverlayfs:
    """Debian's fuse-overlayfs."""

    name: str = "fuse-overlayfs"
    families: tuple[str, ...] = ()

    def attach(self, options: Sequence[str], mountpoint: Path, cwd: Path, environment: Mapping[str, str]) -> Attachment:
        process = subprocess.Popen(
            ["fuse-overlayfs", "-f", "-o", ",".join(options), mountpoint],
            cwd=cwd, env={**os.environ, **environment}, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while not is_mounted(mountpoint):
            assert process.poll() is None, "fuse-overlayfs has ended"
        return _FuseOverlay(process, mountpoint)


DEFAULT_KERNEL = KernelOverlay(name="overlayfs", defaults=())
OTHERS: Mapping[FileSystem, Sequence[str]] = {DEFAULT_KERNEL: (), FuseOverlayfs(): ("nlink",)}
"""What each doesn't show: fuse-overlayfs counts the names of a file that it has met."""


class Inside(Kernel):
    """Asks by paths that start in a directory of the mount."""

    def __init__(self, kernel: Kernel, directory: str) -> None:
        super().__init__(kernel.union)
        self._directory = directory

    def lookup(self, path: str) -> Attributes | None:
        return super().lookup(self._directory if path == "." else f"{self._directory}/{path}")

    def place(self, path: str) -> tuple[int, bytes]:
        above, _, name = path.rpartition("/")
        parent = self.number(above or ".")
        self.lookup(path)
        return parent, os.fsencode(name)

    def number_of(self, path: str) -> int:
        return self.number(path)


def flatten(stack: Mounted) -> None:
    """Flatten by the command, with the options of the mount."""
    options = f"lowerdir={':'.join(map(str, stack.lowers))},upperdir={stack.upper},workdir={stack.work}"
    command: list[str | Path] = [UNIONFS, "flatten", "--format", "json", "-o", options]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["upper"] == str(stack.upper)


def shown_by(filesystem: FileSystem, stack: Mounted) -> Snapshot:
    """Give what the stack shows when it is mounted by *filesystem*.

    Overlayfs lists the whiteouts of a directory that lies in one layer alone, and then doesn't find them.
    """
    stack.filesystem = filesystem
    stack.mount()
    try:
        return snapshot(stack.root, skip_missing=True)
    finally:
        stack.unmount()


def without_escaped_xattrs(tree: Snapshot) -> Snapshot:
    """Leave out attributes that were set inside the mount under overlayfs's own names: fuse-overlayfs hides them."""
    return {
        path: replace(entry, xattrs={k: v for k, v in entry.xattrs.items() if not k.startswith("trusted.overlay.")})
        for path, entry in tree.items()
    }


def with_hidden_names(tree: Snapshot) -> Mapping[str, Sequence[str]]:
    """Name the files of a lower that count names which another lower hides: a copy in the upper doesn't have those."""
    names = Counter(entry.ino for entry in tree.values())
    return {path: ("nlink",) for path, entry in tree.items() if entry.nlink > names[entry.ino]}


def linked(tree: Snapshot) -> set[frozenset[str]]:
    """Give the groups of names that are one file."""
    groups: dict[int, set[str]] = {}
    for path, entry in tree.items():
        groups.setdefault(entry.ino, set()).add(path)
    return {frozenset(group) for group in groups.values() if len(group) > 1}


def check_others(here: Snapshot, stack: Mounted) -> None:
    """Have every file system show what was seen *here*."""
    hidden = with_hidden_names(here)
    assert contradictions(here, shown_by(TRANSPORTS[0], stack), but_for=hidden) == []
    for other, ignored in OTHERS.items():
        there = shown_by(other, stack)
        lines = contradictions(
            without_escaped_xattrs(here), without_escaped_xattrs(there), ignoring=ignored, but_for=hidden
        )
        assert lines == [], f"{other.name}: " + "; ".join(lines)
        assert linked(here) == linked(there)


@contextmanager
def on_disk(stack: Stack) -> Iterator[Mounted]:
    """Give the stack as what can be mounted."""
    root = stack.directory / "merged"
    root.mkdir()
    lowers = tuple(stack.lower(place) for place in range(len(stack.lowers)))
    found = Mounted(
        filesystem=TRANSPORTS[0],
        directory=stack.directory,
        root=root,
        lowers=lowers,
        upper=stack.upper,
        work=stack.work,
    )
    try:
        yield found
    finally:
        found.unmount()


@pytest.mark.skipif(os.geteuid() != 0, reason="kernel overlayfs is mounted by root only")
def test_every_overlay_shows_a_flattened_upper_as_it_was(tmp_path: Path) -> None:
    top: dict[str, Node] = {}
    bottom: dict[str, Node] = {}
    for name in SESSIONS:
        top.update(moved(TOP, name))
        bottom.update(moved(BOTTOM, name))
    stack = Stack(tmp_path / "stack", (top, bottom), EVERYTHING)
    with stack.opened() as kernel:
        for name, session in SESSIONS.items():
            for change in session:
                change(Inside(kernel, name))
    with on_disk(stack) as found:
        here = shown_by(TRANSPORTS[0], found)
        flatten(found)
        check_others(here, found)


@pytest.mark.skipif(os.geteuid() != 0, reason="kernel overlayfs is mounted by root only")
@pytest.mark.timeout(0 if ASKED else 300)
@pytest.mark.parametrize("lowers", [1, 3])
@settings(
    max_examples=int(ASKED or 3),
    derandomize=ASKED is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink] if ASKED else [Phase.generate],
)
@given(data=st.data())
def test_whatever_was_done_every_overlay_shows_it_once_it_is_flattened(data: st.DataObject, lowers: int) -> None:
    batch = data.draw(st.lists(examples(lowers, steps=40), min_size=4, max_size=12))
    with mounted(TRANSPORTS[0], _combined(batch, lowers), EMPTY) as stack:
        for number, example in enumerate(batch):
            for session in example.sessions:
                _do(stack.root / f"{number}", session)
        stack.unmount()
        here = shown_by(TRANSPORTS[0], stack)
        flatten(stack)
        check_others(here, stack)


def _combined(batch: Sequence[Example], lowers: int) -> list[Layer]:
    """Return one stack in which each example has a directory, without what fuse-overlayfs doesn't read in lowers."""
    layers: list[dict[str, Node]] = [{} for _ in range(lowers)]
    for number, example in enumerate(batch):
        layers[-1][f"{number}"] = Directory()
        for layer, part in zip(layers, example.lowers, strict=True):
            layer.update({path: _readable(node) for path, node in moved(part, f"{number}").items()})
    return list(layers)


def _readable(node: Node) -> Node:
    """Replace what fuse-overlayfs 1.10 doesn't read in a lower; over a symbolic link it opens no directory."""
    if node == XATTR_WHITEOUT:
        return WHITEOUT
    if isinstance(node, Symlink):
        return File(b"not a link")
    return Directory() if node == HOLDS_XATTR_WHITEOUTS else node


def _do(root: Path, numbers: Sequence[int]) -> None:
    actor = Actor(root)
    try:
        for number in numbers:
            actor.do(operation_of(number, tree_of(root), KINDS))
    finally:
        actor.close()
