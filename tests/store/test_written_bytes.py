"""What unpacking writes to a disk: the files and the blobs that stay, and hardly anything else."""

import gzip
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.images import layout
from tests.tarball import archive, file

COUNTING = """
import os, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
os.sync()
print(open("/proc/self/io").read())
"""
UNIONFS = (sys.executable, "-c", "import sys; from unionfs.cli import main; sys.exit(main(sys.argv[1:]))")


def counted_of(*command: str | Path) -> int:
    """Give the bytes that a command and all its processes have caused to be written, when all is on the disk."""
    counting = [sys.executable, "-c", COUNTING, *command]
    found = subprocess.run(counting, capture_output=True, text=True, check=True).stdout
    return int(next(line.split()[1] for line in found.splitlines() if line.startswith("write_bytes:")))


def allocated_beneath(top: Path) -> int:
    return sum(os.lstat(path).st_blocks * 512 for path in (top, *top.rglob("*")))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An image of three gzip layers: many files as systems have them, and a few large ones."""
    chance = random.Random(7)
    layers = [
        archive(
            *(
                file(b"layer%d/d%d/f%d" % (layer, number % 9, number), chance.randbytes(chance.randrange(150_000)))
                for number in range(80)
            ),
            file(b"layer%d/large" % layer, chance.randbytes(4 << 20)),
        )
        for layer in range(3)
    ]
    return layout(tmp_path / "image", *layers, blobs=[gzip.compress(layer, 1) for layer in layers])


@pytest.fixture(autouse=True)
def on_a_disk(tmp_path: Path) -> None:
    """Skip the test where nothing written is counted, as on a tmpfs."""
    write = "import sys; open(sys.argv[-1], 'wb').write(bytes(1 << 20))"
    if counted_of(sys.executable, "-c", write, tmp_path / "probe") < 1 << 20:
        pytest.skip("the kernel counts nothing that is written to this file system")


def test_unpack_writes_the_files_once(tmp_path: Path, source: Path) -> None:
    written = counted_of(*UNIONFS, "unpack", source, tmp_path / "layers")
    kept = allocated_beneath(tmp_path / "layers")
    assert kept > 25 << 20
    assert written <= 1.05 * kept


def test_load_writes_the_blobs_and_the_files_once(tmp_path: Path, source: Path) -> None:
    written = counted_of(*UNIONFS, "--root", tmp_path / "store", "load", "-i", source)
    kept = allocated_beneath(tmp_path / "store")
    assert kept > 50 << 20
    assert written <= 1.05 * kept
