"""Layers on a file system in memory: there is no device to wait for."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stacks import File, Layer
from tests.unions import Kernel, Stack, UnderWay
from unionfs.linux.files import is_in_memory
from unionfs.union.step import Operation
from unionfs.union.union import Settings

LOWER: Layer = {"f": File(b"content" * 1000), "d/f": File(b"deeper")}


@pytest.fixture
def stack(memory: Path) -> Stack:
    return Stack(memory / "stack", [LOWER], Settings(redirect=True, metacopy=True))


def steps_of(operation: Operation[object]) -> int:
    """Count the blocking steps of *operation*."""
    under_way, steps = UnderWay(operation), 0
    while not under_way.done:
        under_way.resume()
        steps += 1
    return steps


def test_a_file_system_in_memory_is_told_from_one_on_a_device(memory: Path) -> None:
    for path, expected in ((memory, True), (Path("/proc"), False), (Path(__file__).parent, False)):
        fd = os.open(path, os.O_PATH)
        try:
            assert is_in_memory(fd) == expected
        finally:
            os.close(fd)


def fsync(kernel: Kernel) -> Operation[object]:
    return kernel.union.fsync(kernel.number("f"), content_only=False)


def fsyncdir(kernel: Kernel) -> Operation[object]:
    return kernel.union.fsyncdir(kernel.number("d"))


@pytest.mark.parametrize("sync", [fsync, fsyncdir])
def test_nothing_is_synced(stack: Stack, sync: Callable[[Kernel], Operation[object]]) -> None:
    with stack.opened() as kernel:
        kernel.write("f", b"new")
        kernel.create("d/new")
        assert steps_of(sync(kernel)) == 0


def test_what_is_short_is_copied_up_at_once(stack: Stack) -> None:
    with stack.opened() as kernel:
        assert steps_of(kernel.union.write(kernel.number("f"), 0, b"new", keep_set_id=True)) == 0
        assert kernel.read("f") == b"newtent" + b"content" * 999


def test_what_is_long_is_copied_up_in_a_step(stack: Stack) -> None:
    (stack.lower() / "f").write_bytes(bytes(1 << 20))
    with stack.opened() as kernel:
        assert steps_of(kernel.union.write(kernel.number("f"), 0, b"new", keep_set_id=True)) == 1


def test_it_is_read_at_once(stack: Stack) -> None:
    with stack.opened() as kernel:
        assert steps_of(kernel.union.read(kernel.number("f"), 0, 1 << 20)) == 0


def test_on_a_device_a_sync_is_a_step(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [LOWER], Settings())
    with stack.opened() as kernel:
        kernel.write("f", b"new")
        assert steps_of(fsync(kernel)) == 1
