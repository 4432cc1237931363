"""Mounts whose inode numbers have 32 bits, over each transport."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuse.presented import presented
from tests.mounts import mount, unmount_or_detach
from tests.stacks import File, write
from tests.unions import Stack

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a second file system")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Give a stack whose lower lies on another file system than its upper."""
    stack = Stack(tmp_path / "stack", [{}])
    lower = Path(os.path.realpath(stack.lower()))
    mount("tmpfs", lower, "tmpfs")
    try:
        write(lower, {f"d/f{number}": File(b"%d" % number) for number in range(500)})
        yield stack
    finally:
        unmount_or_detach(lower)


@pytest.mark.parametrize("transport", ["kernel", "pyfuse3"])
@pytest.mark.parametrize(("ino32", "bits"), [(True, 32), (False, 63)])
def test_what_is_listed_and_what_is_shown_fit_and_are_the_same(
    stack: Stack, tmp_path: Path, transport: str, bits: int, *, ino32: bool
) -> None:
    with presented(stack, tmp_path / "mount", transport, ino32=ino32) as path:
        with os.scandir(path / "d") as entries:
            listed = {entry.name: entry.inode() for entry in entries}
        shown = {name: (path / "d" / name).stat().st_ino for name in listed}
        assert listed == shown
        assert len(set(shown.values())) == 500
        assert max(shown.values()).bit_length() in range(bits - 7, bits + 1)
        (path / "d/f7").write_bytes(b"changed")
        assert (path / "d/f7").stat().st_ino == shown["f7"]
