"""What is synced, and in which order, seen in the daemon's system calls.

Sources: fsync(2), "Calling fsync() does not necessarily ensure that the entry in the directory containing the file has
also reached disk", which overlayfs does ensure; overlayfs, "Volatile mount".
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.safety.daemons import Room

SYNCING = "fsync,fdatasync,syncfs"
MOVING = "rename,renameat,renameat2,unlinkat,rmdir"


class Trace:
    """The daemon's calls of some kinds, as ``call directory-or-file [name ...]`` with paths beneath the room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.file = room.directory / "trace"

    def lines(self) -> list[str]:
        """Give the calls that succeeded so far."""
        return [call for line in self.file.read_text().splitlines() if (call := self._call(line))]

    def _call(self, line: str) -> str:
        # 123 renameat2(13</room/work/work>, "#1", 9</room/upper>, "d", RENAME_NOREPLACE) = 0
        match = re.fullmatch(r"\d+ +(\w+)\((.*)\) += 0", line)
        if match is None:
            return ""
        words = re.findall(r'<([^>]*)>|"([^"]*)"', match[2])
        room = re.escape(str(self._room.directory))
        return " ".join([match[1], *(re.sub(f"^{room}/?|^/", "", path) or name for path, name in words)])


@contextmanager
def traced(room: Room, calls: str, *options: str) -> Iterator[Trace]:
    """Mount with the daemon's *calls* traced; unmounted at the end of the block."""
    trace = Trace(room)
    daemon = room.start(*options, within=("strace", "-f", "-y", "-qq", "-o", str(trace.file), "-e", f"trace={calls}"))
    yield trace
    daemon.end()


@pytest.fixture
def lower(room: Room) -> Path:
    (room.lower / "d").mkdir()
    (room.lower / "f").write_bytes(b"lower")
    (room.lower / "d/g").write_bytes(b"lower")
    return room.lower


@pytest.mark.usefixtures("lower")
def test_fsync_reaches_the_file_of_the_upper_and_its_directory(room: Room) -> None:
    with traced(room, SYNCING) as trace, (room.mount / "d/g").open("r+b") as file:
        os.write(file.fileno(), b"UPPER")
        before = len(trace.lines())
        os.fsync(file.fileno())
        assert trace.lines()[before:] == ["fsync upper/d/g", "fsync upper/d"]
        os.fdatasync(file.fileno())
        assert trace.lines()[before + 2 :] == ["fdatasync upper/d/g", "fsync upper/d"]


@pytest.mark.usefixtures("lower")
def test_fsync_of_a_new_file_reaches_both(room: Room) -> None:
    with traced(room, SYNCING) as trace, (room.mount / "new").open("wb") as file:
        os.fsync(file.fileno())
        assert trace.lines() == ["fsync upper/new", "fsync upper"]


@pytest.mark.usefixtures("lower")
def test_fsync_of_a_metacopy_reaches_its_metadata(room: Room) -> None:
    with traced(room, SYNCING, "metacopy=on,redirect_dir=on") as trace:
        (room.mount / "f").chmod(0o600)
        with (room.mount / "f").open("rb") as file:
            os.fsync(file.fileno())
        assert trace.lines() == ["fsync upper/f", "fsync upper"]


@pytest.mark.usefixtures("lower")
def test_fsync_of_a_file_beneath_has_nothing_to_do(room: Room) -> None:
    with traced(room, SYNCING) as trace:
        with (room.mount / "f").open("rb") as file:
            os.fsync(file.fileno())
        assert trace.lines() == []


@pytest.mark.usefixtures("lower")
def test_fsync_of_a_directory_reaches_the_directory_of_the_upper(room: Room) -> None:
    with traced(room, SYNCING) as trace:
        (room.mount / "d/new").touch()
        directory = os.open(room.mount / "d", os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        assert trace.lines() == ["fsync upper/d"]


@pytest.mark.usefixtures("lower")
def test_a_copy_is_on_the_device_before_it_is_renamed_into_place(room: Room) -> None:
    calls = f"{SYNCING},{MOVING},fchownat,lsetxattr,utimensat,copy_file_range,ftruncate"
    with traced(room, calls, "metacopy=off") as trace:
        before = len(trace.lines())
        with (room.mount / "d/g").open("r+b") as file:
            os.write(file.fileno(), b"UPPER")
            copied = trace.lines()[before:]
    staged = next(line.split()[-1] for line in copied if line.startswith("fsync"))
    assert copied.index(f"fsync {staged}") == len(copied) - 3, copied
    assert copied[-2].split()[:2] == ["renameat2", "work/work"], copied
    assert copied[-2].split()[3:] == ["upper/d", "g"], copied
    assert copied[-1].startswith("utimensat"), "the directory keeps its times"


@pytest.mark.usefixtures("lower")
def test_the_content_of_a_metacopy_is_on_the_device_before_the_mark_is_removed(room: Room) -> None:
    with traced(room, f"{SYNCING},lremovexattr", "metacopy=on,redirect_dir=on") as trace:
        (room.mount / "f").chmod(0o600)
        before = len(trace.lines())
        with (room.mount / "f").open("r+b") as file:
            os.write(file.fileno(), b"UPPER")
            copied = trace.lines()[before:]
    assert copied[0] == "fsync upper/f"
    assert [line.split()[-1] for line in copied[1:]] == ["trusted.overlay.metacopy"]


@pytest.mark.usefixtures("lower")
def test_the_upper_is_synced_when_the_mount_has_ended(room: Room) -> None:
    with traced(room, SYNCING) as trace:
        (room.mount / "new").write_bytes(b"new")
        assert trace.lines() == []
    assert trace.lines() == ["syncfs upper"]


@pytest.mark.usefixtures("lower")
def test_a_volatile_mount_syncs_nothing_until_it_ends_and_then_takes_its_mark_away(room: Room) -> None:
    with traced(room, f"{SYNCING},unlinkat,rmdir", "volatile") as trace:
        with (room.mount / "d/g").open("r+b") as file:
            os.write(file.fileno(), b"UPPER")
            os.fsync(file.fileno())
            os.fdatasync(file.fileno())
        directory = os.open(room.mount / "d", os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        assert not [line for line in trace.lines() if line.startswith(("fsync", "fdatasync", "syncfs"))]
        before = len(trace.lines())
    ended = trace.lines()[before:]
    assert ended[0] == "syncfs upper"
    assert [line.split()[-1] for line in ended[1:]] == ["volatile", "incompat"]
    assert not (room.work / "work/incompat").exists()


@pytest.mark.usefixtures("lower")
def test_a_read_only_mount_syncs_nothing(room: Room) -> None:
    with traced(room, SYNCING, "ro") as trace:
        assert (room.mount / "f").read_bytes() == b"lower"
    assert trace.lines() == []
