"""Measures the memory of a mount's daemon: at its start, after ``find`` has seen every file, after they are forgotten.

Run as root: ``python -m tools.memory [FILES]`` (a million by default). It drops the kernel's caches twice.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tools import system

_PER_DIRECTORY = 1000
_LAYERS = 2
_FORGETTING = 6.0
"""Seconds that the kernel and then the daemon get to forget."""


def main() -> int:
    """Print the three figures and what follows from them."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="unionfs-memory.", dir="/dev/shm") as name:
        room = Path(name)
        _make_layers(room, files)
        for part in ("upper", "work", "merged"):
            (room / part).mkdir()
        _measure(room, files)
    return 0


def _make_layers(room: Path, files: int) -> None:
    for number in range(files):
        directory = room / f"layer{number % _LAYERS}" / f"d{number // _PER_DIRECTORY:05d}"
        if number % _PER_DIRECTORY < _LAYERS:
            directory.mkdir(parents=True, exist_ok=True)
        os.close(os.open(directory / f"file{number:07d}", os.O_CREAT | os.O_WRONLY, 0o644))


def _measure(room: Path, files: int) -> None:
    program = Path(sys.executable).with_name("unionfs")
    lowers = ":".join(str(room / f"layer{layer}") for layer in range(_LAYERS))
    options = f"lowerdir={lowers},upperdir={room}/upper,workdir={room}/work"
    merged = room / "merged"
    command: list[str | Path] = [program, "mount", "-f", *sys.argv[2:], "-o", options, merged]
    daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        _wait_for(lambda: os.path.ismount(merged))
        os.listdir(merged)
        start = _resident(daemon.pid)
        subprocess.run(["find", merged, "-ls"], stdout=subprocess.DEVNULL, check=True)
        full = _resident(daemon.pid)
        system.forget_inodes()
        time.sleep(_FORGETTING)
        system.forget_inodes()
        time.sleep(_FORGETTING)
        end = _resident(daemon.pid)
    finally:
        subprocess.run([program, "umount", merged], check=True)
        daemon.wait()
    print(f"start          {start:9,} KiB")
    print(f"{files:,} files known {full:9,} KiB: {(full - start) * 1024 / files:.0f} bytes a file")
    print(f"forgotten      {end:9,} KiB: {end / start:.2f} x the start")


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the mount doesn't come up")
        time.sleep(0.05)


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)


if __name__ == "__main__":
    sys.exit(main())
