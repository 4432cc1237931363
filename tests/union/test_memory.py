"""What a known inode costs, counted at two sizes so that what doesn't grow falls out."""

import gc
import tracemalloc
from pathlib import Path

import pytest

from tests.stacks import File, Layer
from tests.unions import Kernel, Stack

_FILES = 300
_LIMIT = 700
"""Bytes of a known inode with its name, in all tables."""


def known(kernel: Kernel, directories: range) -> int:
    """Let the kernel know every file of *directories*, and give the bytes that this took."""
    gc.collect()
    tracemalloc.start()
    for directory in directories:
        number = kernel.number(f"d{directory}")
        for listed in kernel.union.entries(number, 2):
            assert listed.node is not None
            listed.node.lookups += 1
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken


@pytest.mark.parametrize("writable", [True, False])
def test_a_known_file_takes_little_memory(tmp_path: Path, *, writable: bool) -> None:
    lower: Layer = {f"d{n % 12}/file{n:07d}": File() for n in range(12 * _FILES)}
    stack = Stack(tmp_path / "stack", [lower], writable=writable)
    with stack.opened() as kernel:
        known(kernel, range(1))
        few, many = known(kernel, range(1, 4)), known(kernel, range(4, 12))
        assert (many - few) / (5 * _FILES) < _LIMIT
