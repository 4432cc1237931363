"""containerd with a storage of its own, and a snapshotter that has snapshots mounted by the program under test.

It runs among mounts and processes of its own, which end with it; ``/run`` is empty there.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clients import image

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).with_name("unionfs-overlay")
SNAPSHOTTER = "fuse"
PATIENCE = 30.0
_CONFIG = """\
version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{directory}/containerd.sock"
[proxy_plugins.{snapshotter}]
type = "snapshot"
address = "{directory}/snapshotter.sock"
"""
_START = """\
mount -t tmpfs run /run
"$1" -m tests.clients.snapshotter "$2/snapshotter.sock" "$2/snapshots" "$3" >"$2/snapshotter.log" 2>&1 &
containerd --config "$2/config.toml" >"$2/containerd.log" 2>&1 &
# As the first process it also waits for those whose parents have ended.
wait
"""


@dataclass
class Containerd:
    """A running containerd whose snapshots of the name ``snapshotter`` are tested."""

    directory: Path
    snapshotter: str
    holder: int = 0
    """Its process, whose mounts and processes those are."""

    @property
    def environment(self) -> dict[str, str]:
        """The program under test is the first on PATH: ctr mounts too, to look up users."""
        return {**os.environ, "PATH": f"{self.directory}/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

    def start(self, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run a program to its end among containerd's mounts and processes, whatever it says."""
        return subprocess.run(
            ["nsenter", f"--target={self.holder}", "--mount", "--pid", "--", *words], env=self.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def ctr(self, *words: str) -> str:
        """Run ctr, and give what it prints. Raises AssertionError with its errors when it fails."""
        done = self.start("ctr", "--address", str(self.directory / "containerd.sock"), *words)
        assert done.returncode == 0, f"ctr {' '.join(words)}: {done.stdout}{done.stderr}\n{self.log()}"
        return done.stdout

    def run(self, name: str, script: str, *options: str) -> str:
        """Run a shell script in a new container, and give what it prints."""
        words = ["run", f"--snapshotter={self.snapshotter}", *options, image.NAME, name, "/bin/sh", "-c", script]
        return self.ctr(*words)

    def mounts(self) -> list[str]:
        """Give the lines of the mount table whose mounts are in the directory."""
        return [line for line in self.start("cat", "/proc/mounts").stdout.splitlines() if str(self.directory) in line]

    def daemons(self) -> list[str]:
        """Give the command lines of the mount programs that run."""
        found = self.start("ps", "-eo", "args").stdout.splitlines()
        return [line for line in found if PROGRAM.name in line and "snapshotter" not in line]

    def log(self) -> str:
        """Give what containerd and the snapshotter have said."""
        return "\n".join((self.directory / f"{name}.log").read_text() for name in ("containerd", "snapshotter"))


@contextmanager
def containerd(directory: Path, program: str | None) -> Iterator[Containerd]:
    """Run containerd in the empty directory with the image loaded.

    Snapshots are mounted by ours, called *program*; if that is None, by overlayfs, as containerd does by itself.
    """
    (directory / "snapshots").mkdir()
    (directory / "bin").mkdir()
    if program is not None:
        (directory / "bin" / program).symlink_to(PROGRAM)
    (directory / "config.toml").write_text(_CONFIG.format(directory=directory, snapshotter=SNAPSHOTTER))
    (directory / "base.tar").write_bytes(image.archive())
    running = Containerd(directory, SNAPSHOTTER if program else "overlayfs")
    process = subprocess.Popen(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
         "sh", "-euc", _START, "sh", sys.executable, directory, program or ""],
        cwd=CHECKOUT, env=running.environment, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        running.holder = _child_of(process)
        _wait_for(running)
        running.ctr("images", "import", f"--snapshotter={running.snapshotter}", str(directory / "base.tar"))
        yield running
    finally:
        process.kill()
        process.wait()


def _child_of(process: "subprocess.Popen[bytes]") -> int:
    """Give the first process of the namespace that *process* has made."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + PATIENCE
    while not (found := children.read_text().split()):
        assert time.monotonic() < deadline, "no process was started"
        time.sleep(0.01)
    return int(found[0])


def _wait_for(running: Containerd) -> None:
    deadline = time.monotonic() + PATIENCE
    socket = str(running.directory / "containerd.sock")
    while running.start("ctr", "--address", socket, "version").returncode:
        assert time.monotonic() < deadline, running.log()
        time.sleep(0.05)
