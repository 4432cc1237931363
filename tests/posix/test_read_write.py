"""Reading and writing through descriptors: offsets, appending, truncation, syncing.

Sources: POSIX, read(), write(), pwrite(), ftruncate(), fsync(); write(2) for O_APPEND with pwrite.
"""

import mmap
import os
import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from errno import EBADF, EFBIG, EINVAL, EISDIR
from pathlib import Path

import pytest

from tests.posix import aio
from tests.posix.place import Place
from tests.posix.processes import in_child
from tests.posix.table import UNIONS, errno_of, row
from tests.stacks import Directory, File

MIB = 1 << 20
BLOCK = bytes(range(251)) * 41


@row(bottom={"f": File(BLOCK * 40)})
def test_any_piece_of_a_file_is_read(place: Place) -> None:
    whole = BLOCK * 40
    descriptor = os.open(place / "f", os.O_RDONLY)
    try:
        for offset, size in [(0, 1), (0, 4096), (4095, 2), (8191, 10_000), (len(whole) - 1, 10), (131_071, 131_073)]:
            assert os.pread(descriptor, size, offset) == whole[offset : offset + size]
        assert os.pread(descriptor, 10, len(whole)) == b""
        assert os.pread(descriptor, 10, len(whole) + 10**9) == b""
        assert os.read(descriptor, 10) == whole[:10]
        assert os.lseek(descriptor, -5, os.SEEK_END) == len(whole) - 5
        assert os.read(descriptor, 100) == whole[-5:]
    finally:
        os.close(descriptor)


@row(bottom={"f": File(b"0123456789")}, upper={"u": File(b"0123456789")})
def test_appending_descriptors_interleave_and_overwrite_nothing(place: Place) -> None:
    for name in ("f", "u"):
        one, other = (os.open(place / name, os.O_WRONLY | os.O_APPEND) for _ in range(2))
        try:
            for number in range(5):
                os.write(one, b"a%d" % number)
                os.write(other, b"b%d" % number)
            os.pwrite(one, b"end", 0)
        finally:
            os.close(one)
            os.close(other)
        assert (place / name).read_bytes() == b"0123456789a0b0a1b1a2b2a3b3a4b4end"


@row(bottom={"f": File()})
def test_appending_threads_lose_nothing(place: Place) -> None:
    def append(number: int) -> None:
        descriptor = os.open(place / "f", os.O_WRONLY | os.O_APPEND)
        try:
            for _ in range(50):
                os.write(descriptor, b"%07d\n" % number)
        finally:
            os.close(descriptor)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(append, range(4)))
    lines = (place / "f").read_bytes().splitlines()
    assert sorted(lines) == sorted(b"%07d" % number for number in range(4) for _ in range(50))


@row(bottom={"f": File(b"x" * 10_000)})
def test_what_one_descriptor_writes_another_reads_at_once(place: Place) -> None:
    reading, writing = os.open(place / "f", os.O_RDONLY), os.open(place / "f", os.O_RDWR)
    try:
        for offset in (0, 4090, 9_999, 50_000):
            os.pwrite(writing, b"written", offset)
            assert os.pread(reading, 7, offset) == b"written"
            assert os.fstat(reading).st_size == os.stat(place / "f").st_size
        os.ftruncate(writing, 5)
        assert os.pread(reading, 100, 0) == b"writt"
        os.ftruncate(writing, 20)
        assert os.pread(reading, 100, 0) == b"writt" + b"\0" * 15
    finally:
        os.close(reading)
        os.close(writing)


@row(bottom={"f": File(b"content")})
def test_a_file_made_longer_reads_as_zeros(place: Place) -> None:
    os.truncate(place / "f", 3 * MIB)
    with (place / "f").open("rb") as file:
        assert file.read() == b"content" + bytes(3 * MIB - 7)
    with (place / "f").open("r+b") as file:
        file.seek(5 * MIB)
        file.write(b"end")
    assert (place / "f").stat().st_size == 5 * MIB + 3
    with (place / "f").open("rb") as file:
        file.seek(4 * MIB)
        assert file.read() == bytes(MIB) + b"end"


@row(bottom={"f": File(b"A" * 5000)})
def test_what_truncation_cut_off_does_not_come_back(place: Place) -> None:
    os.truncate(place / "f", 100)
    os.truncate(place / "f", 5000)
    assert (place / "f").read_bytes() == b"A" * 100 + bytes(4900)


@row(bottom={"f": File(b"content"), "d": Directory()})
def test_what_is_no_place_to_read_or_write(place: Place) -> None:
    reading, writing = os.open(place / "f", os.O_RDONLY), os.open(place / "f", os.O_WRONLY)
    try:
        assert errno_of(os.write, reading, b"x") == EBADF
        assert errno_of(os.read, writing, 1) == EBADF
        assert errno_of(os.ftruncate, reading, 0) in {EBADF, EINVAL}
        assert errno_of(os.pread, reading, 1, -1) == EINVAL
        assert errno_of(os.truncate, place / "f", -1) == EINVAL
        assert errno_of(os.truncate, place / "d", 0) == EISDIR
        assert errno_of(os.truncate, place / "f", 1 << 62) == EFBIG
    finally:
        os.close(reading)
        os.close(writing)


@row(bottom={"f": File(b"content")})
def test_the_limit_of_file_size_stops_a_write(place: Place) -> None:
    def write_past_the_limit() -> tuple[int, int, bool]:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGXFSZ])
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        descriptor = os.open(place / "f", os.O_RDWR)
        written = os.pwrite(descriptor, b"x" * 100, 950)
        failed = errno_of(os.pwrite, descriptor, b"x", 1000)
        return written, failed, signal.SIGXFSZ in signal.sigpending()

    assert in_child(write_past_the_limit) == (50, EFBIG, True)
    assert (place / "f").stat().st_size == 1000


@pytest.mark.parametrize("name", ["f", "new"])
@row(bottom={"f": File(b"content"), "d/x": File()})
def test_files_and_directories_are_synced(place: Place, name: str) -> None:
    descriptor = os.open(place / name, os.O_RDWR | os.O_CREAT)
    directory = os.open(place / "d", os.O_RDONLY)
    try:
        os.write(descriptor, b"synced")
        os.fsync(descriptor)
        os.fdatasync(descriptor)
        os.fsync(directory)
        (place / "d/y").touch()
        os.fsync(directory)
    finally:
        os.close(descriptor)
        os.close(directory)


@row(bottom={"f": File(b"content")})
def test_synchronous_writes_are_read_back(place: Place) -> None:
    for flag in (os.O_SYNC, os.O_DSYNC):
        descriptor = os.open(place / "f", os.O_WRONLY | flag)
        try:
            assert os.write(descriptor, b"CON") == 3
        finally:
            os.close(descriptor)
    assert (place / "f").read_bytes() == b"CONtent"


@row(bottom={"f": File(b"x" * 8192)}, upper={"u": File(b"x" * 8192)})
def test_direct_io_is_done_or_refused_when_opened(place: Place) -> None:
    for name in ("f", "u"):
        assert errno_of(_read_and_write_directly, place / name) in {0, EINVAL}
        assert (place / name).stat().st_size == 8192


def _read_and_write_directly(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_DIRECT)
    try:
        with mmap.mmap(-1, 4096) as aligned:
            assert os.preadv(descriptor, [aligned], 4096) == 4096
            assert aligned[:] == b"x" * 4096
            aligned[:] = b"y" * 4096
            assert os.pwritev(descriptor, [aligned], 0) == 4096
    finally:
        os.close(descriptor)
    assert path.read_bytes() == b"y" * 4096 + b"x" * 4096


@row(bottom={"f": File(b"0123456789")}, upper={"u": File(b"0123456789")})
def test_asynchronous_io_reads_and_writes(place: Place) -> None:
    for name in ("f", "u"):
        descriptor = os.open(place / name, os.O_RDWR)
        try:
            assert aio.run(aio.PWRITE, descriptor, bytearray(b"new"), 8) == 3
            assert aio.run(aio.FSYNC, descriptor, bytearray(), 0) in {0, -EINVAL}
            read = bytearray(20)
            assert aio.run(aio.PREAD, descriptor, read, 0) == 11
            assert bytes(read[:11]) == b"01234567new"
        finally:
            os.close(descriptor)


@row(bottom={"f": File()})
def test_a_long_write_is_complete(place: Place) -> None:
    content = BLOCK * 1000
    descriptor = os.open(place / "f", os.O_RDWR)
    try:
        assert os.write(descriptor, content) == len(content)
        assert os.writev(descriptor, [b"a" * 5000, b"", b"b" * 5000]) == 10_000
        assert os.pread(descriptor, len(content) + 20_000, 0) == content + b"a" * 5000 + b"b" * 5000
        parts = [bytearray(3), bytearray(5000)]
        assert os.preadv(descriptor, parts, len(content) + 4999) == 5001
        assert b"".join(parts)[:5001] == b"a" + b"b" * 5000
    finally:
        os.close(descriptor)


@row(bottom={"f": File(b"content")})
def test_times_follow_reading_and_writing(place: Place) -> None:
    os.utime(place / "f", ns=(1_000_000_000, 1_000_000_000))
    before = (place / "f").stat()
    with (place / "f").open("r+b", buffering=0) as file:
        assert file.read(1) == b"c"
        assert os.fstat(file.fileno()).st_mtime_ns == before.st_mtime_ns
        file.write(b"O")
        assert os.fstat(file.fileno()).st_mtime_ns > before.st_mtime_ns
    after = (place / "f").stat()
    assert after.st_mtime_ns > before.st_mtime_ns
    assert after.st_ctime_ns >= before.st_ctime_ns


@row(bottom={"f": File(b"content")}, middle={"d/f": File(b"content")}, on=UNIONS)
def test_reading_leaves_the_access_times_of_lower_files(place: Place) -> None:
    lowers = (place.lowers["bottom"] / "f", place.lowers["middle"] / "d/f")
    before = [lower.stat().st_atime_ns for lower in lowers]
    assert (place / "f").read_bytes() == (place / "d/f").read_bytes() == b"content"
    assert [lower.stat().st_atime_ns for lower in lowers] == before
