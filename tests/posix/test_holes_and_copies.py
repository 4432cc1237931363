"""Holes, preallocation, and copying within the kernel.

Sources: fallocate(2), lseek(2), copy_file_range(2), sendfile(2), splice(2), tee(2).
"""

import os
from errno import EBADF, EINVAL, ENXIO, EOPNOTSUPP

import pytest

from tests.posix.place import Place
from tests.posix.syscalls import (
    FALLOC_COLLAPSE_RANGE,
    FALLOC_INSERT_RANGE,
    FALLOC_KEEP_SIZE,
    FALLOC_PUNCH_HOLE,
    FALLOC_ZERO_RANGE,
    fallocate,
    tee,
)
from tests.posix.table import errno_of, row
from tests.stacks import File

PAGE = 4096
NO_FALLOCATE = "pyfuse3 has no handler for fallocate, which answers EOPNOTSUPP"


@row(
    bottom={"f": File(b"x" * 4 * PAGE)},
    upper={"u": File(b"x" * 4 * PAGE)},
    expected={"pyfuse3": EOPNOTSUPP, "default": 0},
    because=NO_FALLOCATE,
)
def test_fallocate_changes_size_and_content_as_its_mode_says(place: Place) -> None:
    content = b"x" * 4 * PAGE
    for name in ("f", "u"):
        descriptor = os.open(place / name, os.O_RDWR)
        try:
            assert errno_of(fallocate, descriptor, FALLOC_KEEP_SIZE, 0, 8 * PAGE) == place.expected
            assert os.fstat(descriptor).st_size == 4 * PAGE
            punch = FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE
            assert errno_of(fallocate, descriptor, punch, PAGE, PAGE) == place.expected
            assert errno_of(fallocate, descriptor, FALLOC_ZERO_RANGE, 3 * PAGE + 1, 10) == place.expected
            assert errno_of(fallocate, descriptor, 0, 0, 5 * PAGE) == place.expected
        finally:
            os.close(descriptor)
        if place.expected == 0:
            content = b"x" * PAGE + bytes(PAGE) + b"x" * (PAGE + 1) + bytes(10) + b"x" * (PAGE - 11) + bytes(PAGE)
        assert (place / name).read_bytes() == content


@row(bottom={"f": File(b"a" * PAGE + b"b" * PAGE)})
def test_fallocate_moves_ranges_or_says_it_cannot(place: Place) -> None:
    descriptor = os.open(place / "f", os.O_RDWR)
    try:
        assert errno_of(fallocate, descriptor, FALLOC_COLLAPSE_RANGE, 0, PAGE) in {0, EINVAL, EOPNOTSUPP}
        assert errno_of(fallocate, descriptor, FALLOC_INSERT_RANGE, 0, PAGE) in {0, EINVAL, EOPNOTSUPP}
        assert errno_of(fallocate, descriptor, 0x1000, 0, PAGE) == EOPNOTSUPP
    finally:
        os.close(descriptor)
    assert (place / "f").read_bytes()[PAGE:] == b"b" * PAGE


@row(bottom={"f": File(b"x" * 100)})
def test_posix_fallocate_makes_a_file_longer(place: Place) -> None:
    """The C library writes zeros where the file system has no fallocate."""
    descriptor = os.open(place / "f", os.O_RDWR)
    try:
        os.posix_fallocate(descriptor, 0, 10_000)
    finally:
        os.close(descriptor)
    assert (place / "f").read_bytes() == b"x" * 100 + bytes(9_900)


@pytest.mark.parametrize("name", ["low", "up"])
@row(
    bottom={"low": File(b"d" * PAGE, extents=(PAGE * 4, PAGE * 12), size=PAGE * 20)},
    upper={"up": File(b"d" * PAGE, extents=(PAGE * 4, PAGE * 12), size=PAGE * 20)},
    expected={"pyfuse3": [(0, 20)], "writeback": [(0, 20)], "default": [(4, 5), (12, 13)]},
    because="where lseek isn't answered, as by pyfuse3, or for a kernel that wouldn't write first what it holds back, "
    "the kernel takes the whole file for data",
)
def test_data_and_holes_are_found(place: Place, name: str) -> None:
    found = []
    with (place / name).open("rb") as file:
        position = 0
        while (start := _seek(file.fileno(), position, os.SEEK_DATA)) is not None:
            end = _seek(file.fileno(), start, os.SEEK_HOLE)
            assert end is not None
            found.append((start // PAGE, end // PAGE))
            position = end
        assert errno_of(os.lseek, file.fileno(), PAGE * 20, os.SEEK_DATA) == ENXIO
        assert errno_of(os.lseek, file.fileno(), PAGE * 20, os.SEEK_HOLE) == ENXIO
    assert found == place.expected


def _seek(descriptor: int, position: int, whence: int) -> int | None:
    return None if errno_of(os.lseek, descriptor, position, whence) else os.lseek(descriptor, position, whence)


@row(bottom={"low": File(b"lower" * 10_000)}, upper={"up": File(b"upper" * 10_000)})
def test_copy_file_range_copies_between_any_two_files(place: Place) -> None:
    for source in ("low", "up"):
        content = (place / source).read_bytes()
        with (place / source).open("rb") as reading, (place / f"{source}.copy").open("w+b") as writing:
            copied = 0
            while amount := os.copy_file_range(reading.fileno(), writing.fileno(), 1 << 20, copied, copied):
                copied += amount
            assert copied == len(content)
        assert (place / f"{source}.copy").read_bytes() == content
    with (place / "up").open("rb") as reading, (place / "low").open("r+b") as writing:
        assert os.copy_file_range(reading.fileno(), writing.fileno(), 5, 0, 5) == 5
    assert (place / "low").read_bytes()[:15] == b"lowerupperlower"


@row(bottom={"f": File(b"0123456789" * 1000), "g": File()})
def test_copy_file_range_refuses_what_cannot_be_copied(place: Place) -> None:
    with (place / "f").open("r+b") as both, (place / "g").open("rb") as reading:
        assert errno_of(os.copy_file_range, both.fileno(), both.fileno(), 100, 0, 50) == EINVAL
        assert errno_of(os.copy_file_range, both.fileno(), reading.fileno(), 100, 0, 0) == EBADF
        assert os.copy_file_range(both.fileno(), both.fileno(), 100, 0, 5000) == 100
        assert os.copy_file_range(both.fileno(), both.fileno(), 100, 20_000, 0) == 0
    with (place / "f").open("rb") as reading, (place / "g").open("ab") as appending:
        assert errno_of(os.copy_file_range, reading.fileno(), appending.fileno(), 10) == EBADF


@row(bottom={"f": File(b"0123456789" * 1000)})
def test_sendfile_splice_and_tee_carry_content(place: Place) -> None:
    content = b"0123456789" * 1000
    reading_end, writing_end = os.pipe()
    second_reading, second_writing = os.pipe()
    try:
        with (place / "f").open("rb") as source, (place / "g").open("wb") as target:
            assert os.sendfile(target.fileno(), source.fileno(), 0, 5000) == 5000
            assert os.splice(source.fileno(), writing_end, 5000, offset_src=5000) == 5000
            assert tee(reading_end, second_writing, 5000) == 5000
            assert os.splice(reading_end, target.fileno(), 5000) == 5000
            assert os.read(second_reading, 10_000) == content[5000:]
    finally:
        for descriptor in (reading_end, writing_end, second_reading, second_writing):
            os.close(descriptor)
    assert (place / "g").read_bytes() == content
