"""Copy-up of a file that is open, mapped or written by many; and copy-up that fails.

Source: the kernel's overlayfs documentation, "Non-standard behavior", which lists what it doesn't do.
"""

import mmap
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from errno import ENOSPC

import pytest

from tests.posix.place import Place
from tests.posix.table import errno_of, row
from tests.stacks import File

MIB = 1 << 20
STALE_MAP = "overlayfs maps the lower file's own pages: its documentation says so"


@row(bottom={"f": File(b"old content")})
def test_a_descriptor_opened_before_sees_what_is_written_after(place: Place) -> None:
    descriptor = os.open(place / "f", os.O_RDONLY)
    try:
        with (place / "f").open("r+b") as file:
            file.write(b"new")
        (place / "f").chmod(0o600)
        assert os.pread(descriptor, 100, 0) == b"new content"
        assert os.fstat(descriptor).st_mode & 0o777 == 0o600
        os.truncate(place / "f", 3)
        assert os.fstat(descriptor).st_size == 3
        assert os.pread(descriptor, 100, 0) == b"new"
    finally:
        os.close(descriptor)


@row(bottom={"f": File(b"old content")})
def test_a_descriptor_opened_before_may_be_changed_through(place: Place) -> None:
    descriptor = os.open(place / "f", os.O_RDONLY)
    try:
        os.fchmod(descriptor, 0o640)
        os.fchown(descriptor, 3, 4)
        os.utime(descriptor, ns=(1_000, 2_000_000_000))
        os.setxattr(descriptor, "user.k", b"v")
    finally:
        os.close(descriptor)
    found = (place / "f").stat()
    assert (found.st_mode & 0o7777, found.st_uid, found.st_mtime_ns) == (0o640, 3, 2_000_000_000)
    assert os.getxattr(place / "f", "user.k") == b"v"


@row(
    bottom={"f": File(b"old content")},
    expected={"kernel": b"old", "default": b"new"},
    because=STALE_MAP,
)
def test_a_shared_map_made_before_sees_what_is_written_after(place: Place) -> None:
    with (place / "f").open("rb") as reader, mmap.mmap(reader.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:3] == b"old"
        with (place / "f").open("r+b") as writer:
            writer.write(b"new")
        assert mapped[:3] == place.expected


@row(bottom={"f": File(b"old content")})
def test_a_private_map_keeps_its_own_writes(place: Place) -> None:
    with (place / "f").open("rb") as reader, mmap.mmap(reader.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        mapped[:3] = b"own"
        with (place / "f").open("ab") as writer:
            writer.write(b"!")
        assert mapped[:3] == b"own"
    assert (place / "f").read_bytes() == b"old content!"


@row(bottom={"f": File(b"\0" * 16 * 4096)})
def test_many_writers_copy_up_one_file_and_lose_no_write(place: Place) -> None:
    def write(number: int) -> None:
        descriptor = os.open(place / "f", os.O_WRONLY)
        try:
            os.pwrite(descriptor, b"%02d" % number * 2048, number * 4096)
        finally:
            os.close(descriptor)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(write, range(16)))
    assert (place / "f").read_bytes() == b"".join(b"%02d" % number * 2048 for number in range(16))
    if not place.is_on("plain"):
        assert os.listdir(place.upper) == ["f"]


@row(bottom={"f": File(b"x" * 100)})
def test_two_open_descriptors_share_one_file_after_copy_up(place: Place) -> None:
    reading, writing = os.open(place / "f", os.O_RDONLY), os.open(place / "f", os.O_RDWR)
    try:
        os.pwrite(writing, b"tail", 100)
        assert os.fstat(reading).st_size == os.fstat(writing).st_size == 104
        assert os.pread(reading, 10, 100) == b"tail"
        assert os.path.sameopenfile(reading, writing)
    finally:
        os.close(reading)
        os.close(writing)


@row(own=True, upper_size="2m", bottom={"huge": File(b"x" * 8 * MIB), "small": File(b"small")}, on=("union",))
def test_truncating_on_open_copies_no_data_even_when_the_upper_is_full(place: Place) -> None:
    descriptor = os.open(place / "huge", os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(descriptor, b"new")
    finally:
        os.close(descriptor)
    assert (place / "huge").read_bytes() == b"new"


@row(
    own=True,
    upper_size="2m",
    bottom={"huge": File(b"x" * 8 * MIB), "small": File(b"small")},
    on=("kernel", "write-through"),
)
def test_a_copy_up_without_space_fails_whole_and_leaves_the_file_readable(place: Place) -> None:
    def grow() -> None:
        with (place / "huge").open("ab", buffering=0) as file:
            file.write(b"y")

    free = os.statvfs(place.path).f_bavail
    assert errno_of(grow) == ENOSPC
    assert not place.is_in_upper("huge")
    assert (place / "huge").read_bytes() == b"x" * 8 * MIB
    assert os.statvfs(place.path).f_bavail >= free - 2, "what the attempt took is given back"
    (place / "small").write_bytes(b"still writable")
    place.remount()
    assert (place / "small").read_bytes() == b"still writable"
    assert place.names() == ["huge", "small"]


@row(own=True, upper_size="2m", bottom={"huge": File(b"x" * 8 * MIB)}, on=("writeback",))
@pytest.mark.parametrize("tell", [os.fsync, os.close])
def test_writes_that_are_gathered_fail_for_lack_of_space_when_they_are_sent(
    place: Place, tell: Callable[[int], None]
) -> None:
    descriptor = os.open(place / "huge", os.O_WRONLY | os.O_APPEND)
    assert os.write(descriptor, b"y") == 1
    assert errno_of(tell, descriptor) == ENOSPC
    if tell is os.fsync:
        os.close(descriptor)
    place.remount()
    assert (place / "huge").read_bytes() == b"x" * 8 * MIB
