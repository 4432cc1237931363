"""An upper without space, or without what its quota allows: that error, nothing half-made, and all is well again later.

Source: write(2), ENOSPC and EDQUOT.
"""

import contextlib
import errno
import functools
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.mounts import mount, unmount_or_detach
from tests.safety.daemons import Room, room_in
from tests.stacks import File, HardLink, write

KIB = 1024
BIG = b"big" * 300 * KIB
OWNER = 1234
LOWER = {
    "big": File(BIG, uid=OWNER, mode=0o666),
    "d/big": File(BIG, uid=OWNER, mode=0o640),
    "one": File(BIG, uid=OWNER),
    "two": HardLink("one"),
    "small": File(b"small", uid=OWNER),
}


class Limited:
    """A room whose upper has little space, and the way to make it less and more."""

    def __init__(self, room: Room, number: int, squeeze: Callable[[], None], relieve: Callable[[], object]) -> None:
        self.room = room
        self.number = number
        self.squeeze = squeeze
        self.relieve = relieve

    def refuses(self, act: Callable[[], object]) -> None:
        """Check that *act* fails with the error of this limit."""
        with pytest.raises(OSError, match=r"\[Errno") as raised:
            act()
        assert raised.value.errno == self.number

    @property
    def left_over(self) -> list[str]:
        """What lies in the workdir."""
        return sorted(set(os.listdir(self.room.work / "work")) - {"unionfs-index", "incompat"})


@contextmanager
def full_file_system(directory: Path, transport: str) -> Iterator[Limited]:
    (directory / "rw").mkdir(parents=True)
    mount("tmpfs", directory / "rw", "tmpfs", options="size=2m")
    try:
        with _room(directory, transport) as room:
            ballast = directory / "rw/ballast"

            def squeeze() -> None:
                free = os.statvfs(ballast.parent).f_bavail * os.statvfs(ballast.parent).f_bsize
                ballast.write_bytes(bytes(free - 200 * KIB))

            yield Limited(room, errno.ENOSPC, squeeze, ballast.unlink)
    finally:
        unmount_or_detach(directory / "rw")


@contextmanager
def spent_quota(directory: Path, transport: str) -> Iterator[Limited]:
    """Give one on btrfs, whose quotas hold for root too."""
    if "btrfs" not in Path("/proc/filesystems").read_text():
        pytest.skip("this kernel has no file system with quotas: btrfs isn't built in")
    (directory / "rw").mkdir(parents=True)
    image = directory / "image"
    with image.open("wb") as file:
        file.truncate(128 << 20)
    run("mkfs.btrfs", "-q", image)
    run("mount", "-o", "loop", image, directory / "rw")
    try:
        run("btrfs", "quota", "enable", directory / "rw")
        with _room(directory, transport) as room:

            def squeeze() -> None:
                run("btrfs", "filesystem", "sync", directory / "rw")
                used = int(run("btrfs", "qgroup", "show", "--raw", directory / "rw").splitlines()[-1].split()[1])
                run("btrfs", "qgroup", "limit", str(used + 200 * KIB), directory / "rw")

            yield Limited(
                room, errno.EDQUOT, squeeze, lambda: run("btrfs", "qgroup", "limit", "none", directory / "rw")
            )
    finally:
        unmount_or_detach(directory / "rw")


def run(*command: str | Path) -> str:
    """Give what a command printed. Raises CalledProcessError."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def _room(directory: Path, transport: str) -> Iterator[Room]:
    with room_in(directory, directory / "rw", transport) as room:
        write(room.lower, LOWER)
        yield room


@pytest.fixture(params=[full_file_system, spent_quota], ids=["full", "quota"])
def limited(room: Room, request: pytest.FixtureRequest) -> Iterator[Limited]:
    with request.param(room.directory / "limited", room.transport) as limited:
        yield limited


def written(path: Path) -> None:
    with path.open("r+b") as file:
        os.write(file.fileno(), b"NEW")


def test_a_copy_up_that_finds_no_room_changes_nothing(limited: Limited) -> None:
    room = limited.room
    daemon = room.start("metacopy=off")
    paths = ("big", "d/big", "one")
    before = [os.stat(room.mount / path) for path in paths]
    limited.squeeze()
    for path in paths * 2:
        limited.refuses(functools.partial(written, room.mount / path))
        limited.refuses(functools.partial(os.chmod, room.mount / path, 0o600))
        assert not (room.upper / path).exists()
        assert limited.left_over == []
    for path, old in zip(paths, before, strict=True):
        assert (room.mount / path).read_bytes() == BIG
        now = os.stat(room.mount / path)
        assert (now.st_ino, now.st_mode, now.st_nlink) == (old.st_ino, old.st_mode, old.st_nlink)
    limited.relieve()
    for path in paths[: 1 if limited.number == errno.ENOSPC else 3]:
        written(room.mount / path)
        assert (room.mount / path).read_bytes() == b"NEW" + BIG[3:]
    assert "Traceback" not in daemon.end()


def test_what_needs_no_room_goes_on_in_a_full_upper(limited: Limited) -> None:
    room = limited.room
    daemon = room.start("metacopy=off")
    limited.squeeze()
    limited.refuses(lambda: written(room.mount / "big"))
    (room.mount / "big").write_bytes(b"short")  # truncated first: nothing is copied
    assert (room.mount / "big").read_bytes() == b"short"
    (room.mount / "d/big").unlink()
    (room.mount / "small").rename(room.mount / "moved")
    (room.mount / "new").mkdir()
    assert sorted(os.listdir(room.mount)) == ["big", "d", "moved", "new", "one", "two"]
    assert os.listdir(room.mount / "d") == []
    limited.relieve()
    daemon.end()


def test_a_write_that_finds_no_room_keeps_what_was_written_before(limited: Limited) -> None:
    room = limited.room
    daemon = room.start()
    limited.squeeze()
    path = room.mount / "new"

    def fill() -> None:
        with path.open("wb", buffering=0) as file:
            for _ in range(64):
                file.write(b"x" * 64 * KIB)

    limited.refuses(fill)
    size = path.stat().st_size
    assert 0 < size < 64 * 64 * KIB
    assert path.read_bytes() == b"x" * size
    assert (room.mount / "big").read_bytes() == BIG
    limited.relieve()
    path.unlink()
    written(room.mount / "big")
    assert (room.mount / "big").read_bytes() == b"NEW" + BIG[3:]
    daemon.end()


def test_space_is_freed_by_removing_files_through_the_mount(room: Room) -> None:
    with full_file_system(room.directory / "limited", room.transport) as limited:
        room = limited.room
        daemon = room.start()
        limited.squeeze()
        for number in range(100):
            with contextlib.suppress(OSError):
                (room.mount / f"new{number}").write_bytes(bytes(4 * KIB))
        limited.refuses(lambda: (room.mount / "more").write_bytes(bytes(8 * KIB)))
        for path in room.mount.glob("new*"):
            path.unlink()
        (room.mount / "more").write_bytes(bytes(100 * KIB))
        daemon.end()


def test_an_upper_that_takes_nothing_is_refused_by_name(limited: Limited) -> None:
    """A full tmpfs still takes new names, and so is mounted."""
    limited.squeeze()
    with contextlib.suppress(OSError):
        (limited.room.work.parent / "rest").write_bytes(bytes(1024 * KIB))
    if limited.number == errno.ENOSPC:
        limited.room.start().end()
        return
    said = limited.room.refused()
    assert said.startswith(f"unionfs: error: {limited.room.work}")
    assert said.endswith("Disk quota exceeded\n")
    assert said.count("\n") == 1


def test_the_content_of_a_metacopy_that_finds_no_room_stays_beneath(limited: Limited) -> None:
    room = limited.room
    daemon = room.start("metacopy=on,redirect_dir=on")
    (room.mount / "big").chmod(0o606)
    limited.squeeze()
    for _ in range(3):
        limited.refuses(lambda: written(room.mount / "big"))
    assert (room.mount / "big").read_bytes() == BIG
    daemon.end()
    limited.relieve()
    daemon = room.start("metacopy=on,redirect_dir=on")
    assert (room.mount / "big").read_bytes() == BIG
    assert (room.mount / "big").stat().st_mode & 0o777 == 0o606
    written(room.mount / "big")
    assert (room.mount / "big").read_bytes() == b"NEW" + BIG[3:]
    daemon.end()
