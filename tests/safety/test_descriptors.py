"""Few file descriptors: many files and layers are used through few, and running out is an error of one request.

Source: getrlimit(2), RLIMIT_NOFILE; open(2), EMFILE.
"""

import os
import resource
from pathlib import Path

import pytest

from tests.safety.daemons import Daemon, Room
from tests.stacks import File, write

LIMIT = 1024
FILES = 3000 if os.environ.get("UNIONFS_SOAK") == "1" else 1500


@pytest.fixture(autouse=True)
def _enough_for_ourselves() -> None:
    """Let the test itself hold more files open than the daemon may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    assert hard > FILES + 100


def limited(room: Room, limit: int, *options: str) -> Daemon:
    return room.start(*options, within=("prlimit", f"--nofile={limit}:{limit}"))


def descriptors(daemon: Daemon) -> int:
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def test_more_files_are_open_than_the_daemon_has_descriptors(room: Room) -> None:
    write(room.lower, {f"d{number % 40}/f{number}": File(b"%d" % number) for number in range(FILES)})
    daemon = limited(room, LIMIT)
    opened: list[int] = []
    try:
        for number in range(FILES):
            flags = os.O_RDWR if number % 3 == 0 else os.O_RDONLY
            opened.append(os.open(room.mount / f"d{number % 40}/f{number}", flags))
        assert descriptors(daemon) < LIMIT
        for number, descriptor in enumerate(opened):
            if number % 3 == 0:
                os.pwrite(descriptor, b"!", 0)
            assert os.pread(descriptor, 100, 0)[1:] == (b"%d" % number)[1:]
        for number in range(0, FILES, 3):
            (room.mount / f"d{number % 40}/f{number}").unlink()
        for number in range(0, FILES, 3):
            assert os.pread(opened[number], 1, 0) == b"!", "it is unlinked but open"
            assert os.fstat(opened[number]).st_nlink == 0
        assert descriptors(daemon) < LIMIT
    finally:
        for descriptor in opened:
            os.close(descriptor)
    assert "Traceback" not in daemon.end()


def test_five_hundred_lowers_work_with_a_thousand_descriptors(room: Room) -> None:
    names = [room.directory / f"l{number}" for number in range(500)]
    for number, path in enumerate(names):
        write(path, {f"d{number % 50}/only{number}": File(b"%d" % number), "merged/common": File(b"%d" % number)})
    room.layers = f"lowerdir={':'.join(map(str, names))},upperdir={room.upper},workdir={room.work}"
    daemon = limited(room, LIMIT)
    found = sorted(path.name for path in room.mount.glob("d*/*"))
    assert found == sorted(f"only{number}" for number in range(500))
    for number in range(500):
        path = room.mount / f"d{number % 50}/only{number}"
        assert path.read_bytes() == b"%d" % number
    assert (room.mount / "merged/common").read_bytes() == b"0"
    (room.mount / "d7/only7").write_bytes(b"changed")
    (room.mount / "d7").rename(room.mount / "moved")
    assert (room.mount / "moved/only7").read_bytes() == b"changed"
    assert len(os.listdir(room.mount / "moved")) == 10
    assert descriptors(daemon) < LIMIT
    assert "Traceback" not in daemon.end()


def test_more_layers_than_descriptors_are_refused_in_one_line(room: Room) -> None:
    names = [room.directory / f"l{number}" for number in range(200)]
    for path in names:
        path.mkdir()
    room.layers = f"lowerdir={':'.join(map(str, names))},upperdir={room.upper},workdir={room.work}"
    said = room.refused(within=("prlimit", "--nofile=128:128"))
    assert said.count("\n") == 1
    assert said.endswith("Too many open files\n")


def test_a_request_for_which_no_descriptor_is_left_fails_alone(room: Room) -> None:
    write(room.lower, {f"f{number}": File(b"content") for number in range(20)})
    daemon = room.start()
    assert (room.mount / "f0").read_bytes() == b"content"
    limits = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    # New ones get the lowest free number, and those below 3 are never free.
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    for number in range(1, 20):
        with pytest.raises(OSError, match="Too many open files"):
            _changed(room.mount / f"f{number}")
        assert os.listdir(room.upper) == []
        assert os.listdir(room.work / "work") == ["unionfs-index"]
        assert (room.mount / "f0").read_bytes() == b"content"
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limits)
    for number in range(20):
        _changed(room.mount / f"f{number}")
        assert (room.mount / f"f{number}").read_bytes() == b"changed"
    assert "Traceback" not in daemon.end()


def _changed(path: Path) -> None:
    path.write_bytes(b"changed")
