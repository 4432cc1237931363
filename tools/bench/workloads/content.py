"""The content of large files: written in order and at random, read at random, mapped, copied up."""

import mmap
import os
import random
from collections.abc import Iterator
from pathlib import Path

from tools.bench.commands import run
from tools.bench.inputs import Inputs
from tools.bench.workload import Group, Mounted, Place, Workload

_BLOCK = 4096
_SEED = 7


def _big(inputs: Inputs) -> tuple[Path, ...]:
    return (inputs.big,)


def _written(place: Place) -> str:
    return str(place.directory / "written")


def _make_directory(place: Place) -> None:
    place.directory.mkdir(exist_ok=True)


def _remove_written(place: Place) -> None:
    os.unlink(_written(place))


def _dd(place: Place, block: int) -> None:
    count = place.sizes.written // block
    run("dd", "if=/dev/zero", f"of={_written(place)}", f"bs={block}", f"count={count}", "status=none")


def _dd_large_blocks(place: Place) -> None:
    _dd(place, 1 << 20)


def _dd_small_blocks(place: Place) -> None:
    _dd(place, _BLOCK)


def _offsets(place: Place) -> Iterator[int]:
    """Give places of blocks, each time the same."""
    chance = random.Random(_SEED)  # noqa: S311 - places that are the same each time, nothing secret
    blocks = place.sizes.random_file // _BLOCK
    return (chance.randrange(blocks) * _BLOCK for _ in range(place.sizes.random_operations))


def _read_at_random(place: Place) -> None:
    descriptor = os.open(place.merged / "big", os.O_RDONLY)
    try:
        for offset in _offsets(place):
            if len(os.pread(descriptor, _BLOCK, offset)) != _BLOCK:
                raise OSError("a read was short")
    finally:
        os.close(descriptor)


def _read_mapped(place: Place) -> None:
    size = place.sizes.random_file
    with open(place.merged / "big", "rb") as file, mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ) as content:
        for offset in _offsets(place):
            content[offset]


def _make_file(place: Place) -> None:
    """Make the file that is then written at random, in its full size and with content."""
    _make_directory(place)
    if not os.path.exists(_written(place)):
        with open(_written(place), "wb") as file:
            file.write(bytes(place.sizes.random_file))


def _write_at_random(place: Place) -> None:
    block = b"w" * _BLOCK
    descriptor = os.open(_written(place), os.O_RDWR)
    try:
        for offset in _offsets(place):
            os.pwrite(descriptor, block, offset)
    finally:
        os.close(descriptor)


def _write_mapped(place: Place) -> None:
    with open(_written(place), "r+b") as file, mmap.mmap(file.fileno(), place.sizes.random_file) as content:
        for offset in _offsets(place):
            content[offset] = 1
        content.flush()


def _copy_up(place: Place) -> None:
    descriptor = os.open(place.merged / "big", os.O_WRONLY)
    try:
        os.pwrite(descriptor, b"w", 0)
    finally:
        os.close(descriptor)


_WRITING = Group.WRITING
_TITLES = {Group.READ_ONLY: "warm, read-only", Group.WRITABLE: "warm, writable"}

WORKLOADS = (
    *(
        Workload(f"{name}, {title}", group, task, writable=group is Group.WRITABLE, layers=_big)
        for group, title in _TITLES.items()
        for name, task in (("random 4 KiB reads", _read_at_random), ("mmap, random reads", _read_mapped))
    ),
    Workload("dd, 1 MiB blocks", _WRITING, _dd_large_blocks, _make_directory, _remove_written),
    Workload("dd, 4 KiB blocks", _WRITING, _dd_small_blocks, _make_directory, _remove_written),
    Workload("random 4 KiB writes", _WRITING, _write_at_random, _make_file),
    Workload("mmap, random writes", _WRITING, _write_mapped, _make_file),
    Workload("copy-up of a large file", _WRITING, _copy_up, mounted=Mounted.EACH, layers=_big),
)
