"""An upper whose file system turns read-only, as one does that found an error: EROFS for changes, and no more."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mounts import MS_RDONLY, MS_REMOUNT, mount, unmount_or_detach
from tests.safety.daemons import Room, room_in
from tests.stacks import File, write

LOWER = {"low": File(b"low"), "d/low": File(b"low"), "gone": File()}


@pytest.fixture
def small(room: Room) -> Iterator[Room]:
    """Give a room whose upper is on a file system of its own."""
    writable = room.directory / "rw"
    writable.mkdir()
    mount("tmpfs", writable, "tmpfs")
    try:
        with room_in(room.directory / "small", writable, room.transport) as small:
            write(small.lower, LOWER)
            yield small
    finally:
        unmount_or_detach(writable)


def _turn(room: Room, flags: int) -> None:
    mount("", room.upper.parent, "", MS_REMOUNT | flags)


def _changes(root: Path) -> list[Callable[[], object]]:
    return [
        (root / "new").touch,
        (root / "new").mkdir,
        lambda: (root / "new").symlink_to("x"),
        lambda: (root / "low").write_bytes(b"x"),
        lambda: (root / "d/low").chmod(0o600),
        lambda: os.setxattr(root / "low", "user.x", b"x"),
        lambda: os.truncate(root / "d/low", 1),
        lambda: (root / "low").rename(root / "moved"),
        lambda: (root / "d").rename(root / "moved"),
        lambda: os.link(root / "low", root / "linked"),
        (root / "low").unlink,
        lambda: (root / "up").write_bytes(b"x"),
        (root / "up").unlink,
        (root / "updir").rmdir,
        lambda: os.utime(root / "up"),
    ]


def test_every_change_is_refused_and_made_when_that_is_over(small: Room) -> None:
    daemon = small.start()
    (small.mount / "up").write_bytes(b"up")
    (small.mount / "updir").mkdir()
    (small.mount / "gone").unlink()
    daemon.end()  # which has open what it wrote
    daemon = small.start()
    names = sorted(os.listdir(small.mount))
    _turn(small, MS_RDONLY)
    for change in _changes(small.mount):
        with pytest.raises(OSError, match="Read-only file system") as raised:
            change()
        assert raised.value.errno == errno.EROFS
        assert sorted(os.listdir(small.mount)) == names == ["d", "low", "up", "updir"]
        assert (small.mount / "low").read_bytes() == b"low"
        assert (small.mount / "up").read_bytes() == b"up"
    _turn(small, 0)
    (small.mount / "low").write_bytes(b"new")
    (small.mount / "up").unlink()
    (small.mount / "d").rename(small.mount / "moved")
    assert sorted(os.listdir(small.mount)) == ["low", "moved", "updir"]
    assert "Traceback" not in daemon.end()


def test_a_file_open_for_writing_is_told(small: Room) -> None:
    """The kernel refuses to remount while a file is open for writing, but an error of the disk doesn't ask."""
    daemon = small.start()
    with (small.mount / "up").open("wb", buffering=0) as file:
        file.write(b"before")
        with pytest.raises(OSError, match="busy"):
            _turn(small, MS_RDONLY)
        file.write(b" after")
    assert (small.mount / "up").read_bytes() == b"before after"
    daemon.end()


def test_an_upper_that_is_read_only_is_refused_by_name(small: Room) -> None:
    _turn(small, MS_RDONLY)
    said = small.refused()
    assert str(small.upper) in said
    assert said.count("\n") == 1
    assert "ead-only" in said
    small.start("ro").end()
