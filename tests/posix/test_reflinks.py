"""Copies that share their blocks, on a file system that can: btrfs.

Sources: copy_file_range(2), "reflink"; the kernel's overlayfs documentation, which copies up so where it can.
"""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from errno import EOPNOTSUPP
from pathlib import Path
from random import Random

import pytest

from tests.filesystems import KERNEL, TRANSPORTS, FileSystem, Mounted, mounted
from tests.posix.table import errno_of
from tests.reflinks import blocks, btrfs
from tests.stacks import File, Layer

FICLONE = 0x40049409
SIZE = 1 << 20
LOWER: Layer = {"low": File(Random(1).randbytes(SIZE)), "other": File(b"x")}
WRITTEN = Random(2).randbytes(SIZE)
UPPER: Layer = {"up": File(WRITTEN)}
PROTOCOL = next(system for system in TRANSPORTS if system.name == "kernel-protocol")


@pytest.fixture(scope="module", name="btrfs")
def root_of_btrfs() -> Iterator[Path]:
    with btrfs() as root:
        yield root


@pytest.fixture(params=[KERNEL, PROTOCOL], ids=lambda system: system.name)
def stack(request: pytest.FixtureRequest, btrfs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mounted]:
    """Give a mount whose layers all lie on btrfs."""
    monkeypatch.setenv("UNIONFS_TEST_DIRECTORY", str(btrfs))
    system: FileSystem = request.param
    with mounted(system, [LOWER], UPPER, options=("metacopy=off",) if system is PROTOCOL else ()) as stack:
        yield stack


def upper(stack: Mounted, name: str) -> Path:
    assert stack.upper is not None
    return stack.upper / name


def copy(source: Path, target: Path, *, start: int = 0, offset: int = 0, length: int = SIZE) -> None:
    with source.open("rb") as reading, target.open("r+b") as writing:
        while length and (copied := os.copy_file_range(reading.fileno(), writing.fileno(), length, start, offset)):
            start, offset, length = start + copied, offset + copied, length - copied


@pytest.mark.parametrize("source", ["low", "up"])
def test_copy_file_range_shares_the_blocks(stack: Mounted, source: str) -> None:
    (stack.root / "copy").touch()
    copy(stack.root / source, stack.root / "copy")
    assert (stack.root / "copy").read_bytes() == (stack.root / source).read_bytes()
    beneath = stack.lowers[0] / "low" if source == "low" else upper(stack, "up")
    assert blocks(upper(stack, "copy")) == blocks(beneath)


def test_a_part_that_is_copied_shares_its_blocks(stack: Mounted) -> None:
    (stack.root / "copy").write_bytes(bytes(2 * SIZE))
    copy(stack.root / "low", stack.root / "copy", start=65536, offset=SIZE, length=65536)
    expected = (stack.root / "low").read_bytes()[65536:131072]
    assert (stack.root / "copy").read_bytes() == bytes(SIZE) + expected + bytes(SIZE - 65536)
    assert any(at == SIZE for at, _, _ in blocks(upper(stack, "copy")))
    (_, place, _), *_ = blocks(stack.lowers[0] / "low")
    assert (SIZE, place + 65536, 65536) in blocks(upper(stack, "copy"))


def test_what_was_just_written_is_copied_too(stack: Mounted) -> None:
    (stack.root / "copy").touch()
    with (stack.root / "up").open("r+b") as file:
        file.write(b"written just now")
        file.flush()
        copy(stack.root / "up", stack.root / "copy")
    assert (stack.root / "copy").read_bytes() == b"written just now" + WRITTEN[16:]


def test_a_copy_up_shares_the_blocks(stack: Mounted) -> None:
    (stack.root / "low").chmod(0o600)
    assert blocks(upper(stack, "low")) == blocks(stack.lowers[0] / "low")


def test_a_clone_is_made_or_refused_so_that_programs_copy(stack: Mounted) -> None:
    (stack.root / "copy").touch()
    with (stack.root / "up").open("rb") as reading, (stack.root / "copy").open("r+b") as writing:
        outcome = errno_of(fcntl.ioctl, writing, FICLONE, reading.fileno())
    assert outcome == (0 if stack.filesystem is KERNEL else EOPNOTSUPP)
    subprocess.run(["cp", "--reflink=auto", stack.root / "up", stack.root / "copy"], check=True)
    assert (stack.root / "copy").read_bytes() == (stack.root / "up").read_bytes()
    assert blocks(upper(stack, "copy")) == blocks(upper(stack, "up"))
