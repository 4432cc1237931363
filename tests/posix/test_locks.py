"""flock(2), POSIX record locks and open-file-description locks, between processes.

Sources: fcntl(2), flock(2); POSIX fcntl().
"""

import errno
import fcntl
import os
import struct
import time
from pathlib import Path

import pytest

from tests.posix.place import Place
from tests.posix.processes import in_child
from tests.posix.table import errno_of, row
from tests.stacks import File

F_OFD_GETLK, F_OFD_SETLK = 36, 37
BUSY = {errno.EAGAIN, errno.EACCES}


def region(kind: int, start: int = 0, length: int = 0) -> bytes:
    """Return a struct flock; a length of 0 reaches to the end of the file."""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, 0)


def flock_by_another(path: Path, operation: int) -> int:
    """Try flock(2) in a process of its own; return the errno."""

    def attempt() -> int:
        with path.open("rb") as file:
            return errno_of(fcntl.flock, file, operation | fcntl.LOCK_NB)

    return in_child(attempt)


def record_lock_by_another(path: Path, kind: int, start: int = 0, length: int = 0, command: int = fcntl.F_SETLK) -> int:
    """Try a record lock in a process of its own; return the errno."""

    def attempt() -> int:
        with path.open("r+b") as file:
            return errno_of(fcntl.fcntl, file, command, region(kind, start, length))

    return in_child(attempt)


@pytest.mark.parametrize("name", ["low", "up"])
@row(bottom={"low": File(b"x" * 100)}, upper={"up": File(b"x" * 100)})
def test_flock_excludes_other_processes_until_the_descriptor_is_closed(place: Place, name: str) -> None:
    path = place / name
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert flock_by_another(path, fcntl.LOCK_SH) == 0
        assert flock_by_another(path, fcntl.LOCK_EX) == errno.EWOULDBLOCK
        fcntl.flock(file, fcntl.LOCK_EX)
        assert flock_by_another(path, fcntl.LOCK_SH) == errno.EWOULDBLOCK
        fcntl.flock(file, fcntl.LOCK_UN)
        assert flock_by_another(path, fcntl.LOCK_EX) == 0
        fcntl.flock(file, fcntl.LOCK_EX)
    assert flock_by_another(path, fcntl.LOCK_EX) == 0


@row(bottom={"low": File(b"x" * 100)})
def test_two_descriptors_of_one_process_exclude_each_other_by_flock(place: Place) -> None:
    with (place / "low").open("rb") as one, (place / "low").open("rb") as other:
        fcntl.flock(one, fcntl.LOCK_EX)
        assert errno_of(fcntl.flock, other, fcntl.LOCK_EX | fcntl.LOCK_NB) == errno.EWOULDBLOCK


@pytest.mark.parametrize("name", ["low", "up"])
@row(bottom={"low": File(b"x" * 100)}, upper={"up": File(b"x" * 100)})
def test_record_locks_exclude_by_range(place: Place, name: str) -> None:
    path = place / name
    with path.open("r+b") as file:
        fcntl.fcntl(file, fcntl.F_SETLK, region(fcntl.F_WRLCK, 10, 10))
        fcntl.fcntl(file, fcntl.F_SETLK, region(fcntl.F_RDLCK, 50, 10))
        assert record_lock_by_another(path, fcntl.F_WRLCK, 15, 1) in BUSY
        assert record_lock_by_another(path, fcntl.F_RDLCK, 19, 5) in BUSY
        assert record_lock_by_another(path, fcntl.F_WRLCK, 20, 30) == 0
        assert record_lock_by_another(path, fcntl.F_RDLCK, 55, 1) == 0
        assert record_lock_by_another(path, fcntl.F_WRLCK, 59, 1) in BUSY
        fcntl.fcntl(file, fcntl.F_SETLK, region(fcntl.F_UNLCK, 0, 0))
        assert record_lock_by_another(path, fcntl.F_WRLCK) == 0


@row(bottom={"low": File(b"x" * 100)})
def test_a_conflicting_lock_names_its_holder(place: Place) -> None:
    def ask() -> tuple[int, int, int, int]:
        with (place / "low").open("r+b") as file:
            answer = fcntl.fcntl(file, fcntl.F_GETLK, region(fcntl.F_WRLCK))
            kind, _, start, length, pid = struct.unpack("hhqqi4x", answer)
            return kind, start, length, pid

    with (place / "low").open("r+b") as file:
        fcntl.fcntl(file, fcntl.F_SETLK, region(fcntl.F_RDLCK, 5, 7))
        assert in_child(ask) == (fcntl.F_RDLCK, 5, 7, os.getpid())
        fcntl.fcntl(file, fcntl.F_SETLK, region(fcntl.F_UNLCK))
        assert in_child(ask)[0] == fcntl.F_UNLCK


@row(bottom={"low": File(b"x" * 100)})
def test_closing_any_descriptor_drops_a_processs_record_locks(place: Place) -> None:
    path = place / "low"
    with path.open("r+b") as file:
        fcntl.fcntl(file, fcntl.F_SETLK, region(fcntl.F_WRLCK))
        os.close(os.open(path, os.O_RDONLY))
        assert record_lock_by_another(path, fcntl.F_WRLCK) == 0


@row(bottom={"low": File(b"x" * 100)})
def test_open_file_description_locks_belong_to_the_descriptor(place: Place) -> None:
    path = place / "low"
    with path.open("r+b") as one, path.open("r+b") as other:
        fcntl.fcntl(one, F_OFD_SETLK, region(fcntl.F_WRLCK, 0, 10))
        assert errno_of(fcntl.fcntl, other, F_OFD_SETLK, region(fcntl.F_WRLCK, 5, 1)) in BUSY
        assert errno_of(fcntl.fcntl, other, F_OFD_SETLK, region(fcntl.F_WRLCK, 10, 1)) == 0
        os.close(os.open(path, os.O_RDONLY))
        assert record_lock_by_another(path, fcntl.F_WRLCK, command=F_OFD_SETLK) in BUSY
        assert record_lock_by_another(path, fcntl.F_WRLCK) in BUSY
    assert record_lock_by_another(path, fcntl.F_WRLCK, command=F_OFD_SETLK) == 0


@row(bottom={"low": File(b"x" * 100)})
def test_a_lock_survives_the_copy_up_of_its_file(place: Place) -> None:
    path = place / "low"
    with path.open("rb") as shared, path.open("rb") as recorded:
        fcntl.flock(shared, fcntl.LOCK_EX)
        fcntl.fcntl(recorded, fcntl.F_SETLK, region(fcntl.F_RDLCK))
        path.chmod(0o600)
        assert flock_by_another(path, fcntl.LOCK_SH) == errno.EWOULDBLOCK
        assert record_lock_by_another(path, fcntl.F_WRLCK) in BUSY


@row(bottom={"low": File(b"x" * 100)})
def test_a_waiting_lock_is_granted_when_the_holder_lets_go(place: Place) -> None:
    path = place / "low"

    def wait() -> float:
        with path.open("r+b") as mine:
            fcntl.lockf(mine, fcntl.LOCK_EX)
            return time.monotonic()

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with path.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            os.write(writing, b"!")
            time.sleep(0.2)
            os._exit(0)
    try:
        os.read(reading, 1)
        start = time.monotonic()
        assert wait() - start >= 0.1
    finally:
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)


@row(bottom={"a": File(b"x"), "b": File(b"x")})
def test_two_processes_that_wait_for_each_other_are_told(place: Place) -> None:
    reading, writing = os.pipe()
    with (place / "a").open("r+b") as a, (place / "b").open("r+b") as b:
        fcntl.lockf(a, fcntl.LOCK_EX)
        child = os.fork()
        if child == 0:
            fcntl.lockf(b, fcntl.LOCK_EX)
            os.write(writing, b"!")
            os._exit(int(errno_of(fcntl.lockf, a, fcntl.LOCK_EX) == errno.EDEADLK))
        os.read(reading, 1)
        told = errno_of(fcntl.lockf, b, fcntl.LOCK_EX) == errno.EDEADLK
    _, status = os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)
    assert told != bool(os.waitstatus_to_exitcode(status)), "exactly one of the two is refused"


@row(bottom={"low": File(b"x")})
def test_a_lease_is_granted_or_refused(place: Place) -> None:
    descriptor = os.open(place / "low", os.O_RDONLY)
    try:
        outcome = errno_of(fcntl.fcntl, descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        assert outcome in {0, errno.EINVAL, errno.EAGAIN}
        if outcome == 0:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    finally:
        os.close(descriptor)
