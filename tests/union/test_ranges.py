"""Ranges of a file: allocated, zeroed, freed, looked for and copied (fallocate(2), lseek(2), copy_file_range(2))."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stacks import File, Layer
from tests.unions import EVERYTHING, Kernel, Stack, UnderWay
from unionfs.union.step import run

PAGE = 4096
CONTENT = os.urandom(8 * PAGE)
LOWER: Layer = {
    "f": File(CONTENT), "other": File(b"other" * 2000), "set-id": File(CONTENT, mode=0o6755),
    "sparse": File(b"x" * PAGE, extents=(0, 64 * PAGE), size=128 * PAGE),
}  # fmt: skip
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [LOWER], EVERYTHING)


def in_the_lower(_: Kernel) -> None:
    """Leave all where it is."""


def metadata_alone(kernel: Kernel) -> None:
    for name in ("f", "other", "sparse"):
        kernel.change(name, mode=0o600)


def in_the_upper(kernel: Kernel) -> None:
    for name in ("f", "other", "sparse"):
        run(kernel.union.open(kernel.number(name), os.O_RDWR))


LONG = 1 << 20
PLACES = [in_the_lower, metadata_alone, in_the_upper]


def allocate(kernel: Kernel, path: str, mode: int, offset: int, length: int) -> None:
    run(kernel.union.allocate(kernel.number(path), mode, offset, length, keep_set_id=True))


def copy(kernel: Kernel, source: str, start: int, target: str, offset: int, length: int) -> int:
    operation = kernel.union.copy_range(
        kernel.number(source), start, kernel.number(target), offset, length, keep_set_id=True
    )
    return run(operation)


@pytest.mark.parametrize("prepare", PLACES)
def test_a_range_is_allocated_zeroed_and_freed(stack: Stack, prepare: Callable[[Kernel], None]) -> None:
    expected = bytearray(CONTENT)
    with stack.opened() as kernel:
        prepare(kernel)
        allocate(kernel, "f", PUNCH_HOLE | KEEP_SIZE, PAGE, PAGE)
        expected[PAGE : 2 * PAGE] = bytes(PAGE)
        assert kernel.read("f") == expected
        allocate(kernel, "f", ZERO_RANGE, 3 * PAGE, 10)
        expected[3 * PAGE : 3 * PAGE + 10] = bytes(10)
        allocate(kernel, "f", KEEP_SIZE, 8 * PAGE, PAGE)
        assert kernel.read("f") == expected
        allocate(kernel, "f", 0, 8 * PAGE, 5)
        assert kernel.read("f") == expected + bytes(5)
    with stack.opened() as kernel:
        assert kernel.read("f") == expected + bytes(5)


def test_a_mode_that_is_none_is_refused(stack: Stack) -> None:
    with stack.opened() as kernel:
        with pytest.raises(OSError, match=os.strerror(errno.EOPNOTSUPP)):
            allocate(kernel, "f", 1 << 20, 0, 1)
        assert kernel.read("f") == CONTENT


@pytest.mark.parametrize("prepare", PLACES)
def test_data_and_holes_are_found(stack: Stack, prepare: Callable[[Kernel], None]) -> None:
    with stack.opened() as kernel:
        prepare(kernel)
        seek = kernel.union.seek
        number = kernel.number("sparse")
        assert [seek(number, at, os.SEEK_DATA) for at in (0, PAGE, 64 * PAGE)] == [0, 64 * PAGE, 64 * PAGE]
        assert [seek(number, at, os.SEEK_HOLE) for at in (0, PAGE, 64 * PAGE)] == [PAGE, PAGE, 65 * PAGE]
        for whence, at in ((os.SEEK_DATA, 65 * PAGE), (os.SEEK_DATA, 999 * PAGE), (os.SEEK_HOLE, 128 * PAGE)):
            with pytest.raises(OSError, match=os.strerror(errno.ENXIO)):
                seek(number, at, whence)
        assert kernel.read("sparse")[64 * PAGE : 65 * PAGE] == b"x" * PAGE


@pytest.mark.parametrize("prepare", PLACES)
def test_a_range_is_copied_from_any_place_to_any(stack: Stack, prepare: Callable[[Kernel], None]) -> None:
    with stack.opened() as kernel:
        prepare(kernel)
        assert copy(kernel, "f", 100, "other", 50, 1000) == 1000
        assert kernel.read("other") == (b"other" * 2000)[:50] + CONTENT[100:1100] + (b"other" * 2000)[1050:]
        assert copy(kernel, "f", 0, "f", 8 * PAGE, PAGE) == PAGE
        assert kernel.read("f") == CONTENT + CONTENT[:PAGE]
        assert copy(kernel, "f", 100 * PAGE, "other", 0, 10) == 0
    with stack.opened() as kernel:
        assert kernel.read("f") == CONTENT + CONTENT[:PAGE]


@pytest.mark.parametrize("keep", [False, True])
def test_set_id_bits_go_with_what_changes_the_content(stack: Stack, *, keep: bool) -> None:
    with stack.opened() as kernel:
        run(kernel.union.allocate(kernel.number("set-id"), ZERO_RANGE, 0, 1, keep_set_id=keep))
        assert kernel.stat("set-id").mode & 0o7777 == (0o6755 if keep else 0o755)


def test_files_may_lose_their_names_while_a_range_is_copied(stack: Stack) -> None:
    with stack.opened() as kernel:
        source, target = kernel.number("f"), kernel.create("target").ino
        copying = UnderWay(kernel.union.copy_range(source, 0, target, 0, LONG, keep_set_id=True))
        assert not copying.waits()
        kernel.unlink("f")
        kernel.unlink("target")
        kernel.union.nodes.files.close()
        assert copying.finish() == len(CONTENT)
        assert kernel.read_number(target) == CONTENT


def test_only_what_is_short_and_in_memory_is_copied_at_once(stack: Stack) -> None:
    with stack.opened() as kernel:
        source, target = kernel.number("f"), kernel.create("target").ino
        kernel.read("f")

        for length, at_once in ((100, True), (LONG, False)):
            copying = UnderWay(kernel.union.copy_range(source, 0, target, 0, length, keep_set_id=True))
            assert copying.done == at_once
            assert copying.finish() == min(length, len(CONTENT))
