"""Copies that share their blocks, on a file system that can: btrfs.

Sources: copy_file_range(2), "reflink"; the kernel's overlayfs documentation, which copies up so where it can.
"""

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from errno import EOPNOTSUPP
from pathlib import Path
from random import Random

import pytest

from tests.filesystems import KERNEL, TRANSPORTS, FileSystem, Mounted, mounted, scratch
from tests.mounts import unmount_or_detach
from tests.posix.table import errno_of
from tests.stacks import File, Layer

FS_IOC_FIEMAP, FIEMAP_FLAG_SYNC, EXTENTS = 0xC020660B, 1, 32
FICLONE = 0x40049409
SIZE = 1 << 20
LOWER: Layer = {"low": File(Random(1).randbytes(SIZE)), "other": File(b"x")}
WRITTEN = Random(2).randbytes(SIZE)
UPPER: Layer = {"up": File(WRITTEN)}
PROTOCOL = next(system for system in TRANSPORTS if system.name == "kernel-protocol")


def blocks(path: Path) -> list[tuple[int, int, int]]:
    """Give where the content lies: offset, place on the device, length. Sources: ioctl FS_IOC_FIEMAP."""
    head = struct.pack("=QQIIII", 0, 1 << 62, FIEMAP_FLAG_SYNC, 0, EXTENTS, 0)
    with path.open("rb") as file:
        answer = bytearray(head + bytes(56 * EXTENTS))
        fcntl.ioctl(file, FS_IOC_FIEMAP, answer)
    count = struct.unpack_from("=I", answer, 20)[0]
    assert 0 < count < EXTENTS
    return [struct.unpack_from("=QQQ", answer, 32 + 56 * number) for number in range(count)]


@pytest.fixture(scope="module")
def btrfs() -> Iterator[Path]:
    """Give the root of a small btrfs."""
    if os.geteuid() != 0 or "btrfs" not in Path("/proc/filesystems").read_text():
        pytest.skip("needs root and a kernel with btrfs")
    with scratch() as directory:
        image, root = directory / "image", directory / "root"
        root.mkdir()
        with image.open("wb") as file:
            file.truncate(128 << 20)
        subprocess.run(["mkfs.btrfs", "-q", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, root], check=True)
        try:
            yield root
        finally:
            unmount_or_detach(root)


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
