"""A file system on which files share their blocks: btrfs, in a file."""

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.filesystems import scratch
from tests.mounts import unmount_or_detach

FS_IOC_FIEMAP, FIEMAP_FLAG_SYNC, EXTENTS = 0xC020660B, 1, 32


def blocks(path: Path) -> list[tuple[int, int, int]]:
    """Give where the content lies: offset, place on the device, length. Sources: ioctl FS_IOC_FIEMAP."""
    head = struct.pack("=QQIIII", 0, 1 << 62, FIEMAP_FLAG_SYNC, 0, EXTENTS, 0)
    with path.open("rb") as file:
        answer = bytearray(head + bytes(56 * EXTENTS))
        fcntl.ioctl(file, FS_IOC_FIEMAP, answer)
    count = struct.unpack_from("=I", answer, 20)[0]
    assert 0 < count < EXTENTS
    return [struct.unpack_from("=QQQ", answer, 32 + 56 * number) for number in range(count)]


@contextmanager
def btrfs() -> Iterator[Path]:
    """Give the root of a small one, where it can be had."""
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
