"""A mount by the real program, which a test may trace, limit, break or kill."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.mounts import MNT_DETACH, is_mounted, unmount, unmount_or_detach

UNIONFS = Path(sys.executable).with_name("unionfs")
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until *condition* holds. Raises AssertionError, naming *what* was waited for."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)


class Daemon:
    """A running ``unionfs mount -f``, perhaps within another program that runs it."""

    def __init__(self, process: "subprocess.Popen[bytes]", mountpoint: Path, log: Path) -> None:
        self.process = process
        self.mountpoint = mountpoint
        self.log = log

    @property
    def pid(self) -> int:
        """The daemon itself, which is the last of the programs that run each other."""
        pid = self.process.pid
        while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            pid = int(children[0])
        return pid

    @property
    def said(self) -> str:
        """What was logged."""
        return self.log.read_text(errors="backslashreplace")

    def end(self) -> str:
        """Unmount, wait for the daemon, and give what it logged. Raises AssertionError where it failed."""
        assert unmount_or_detach(self.mountpoint), f"{self.mountpoint} has files open"
        assert self.process.wait(PATIENCE) == 0, self.said
        return self.said

    def kill(self) -> None:
        """Kill it; the dead mount stays."""
        os.kill(self.pid, 9)
        self.process.wait(PATIENCE)


class Room:
    """A directory with ``lower`` and ``mount`` in it; ``upper`` and ``work`` lie there too, or in *writable*.

    Mounts in it are served by *transport*.
    """

    def __init__(self, directory: Path, writable: Path | None = None, transport: str = "auto") -> None:
        self.directory = directory
        self.transport = transport
        self.lower, self.mount = directory / "lower", directory / "mount"
        self.upper, self.work = ((writable or directory) / name for name in ("upper", "work"))
        for path in (self.lower, self.upper, self.work, self.mount):
            path.mkdir(parents=True, exist_ok=True)
        self.layers = f"lowerdir={self.lower},upperdir={self.upper},workdir={self.work}"
        """The options that name them."""
        self._running: list[Daemon] = []

    def give_to(self, uid: int) -> None:
        """Let another user have the room."""
        for path in (self.directory, *self.directory.rglob("*")):
            os.chown(path, uid, uid, follow_symlinks=False)

    def start(
        self, *options: str, within: Sequence[str] = (), program: str = "", mountpoint: Path | None = None, uid: int = 0
    ) -> Daemon:
        """Mount, *within* a command that runs another, as user *uid*; *program* is Python that changes the daemon.

        Raises AssertionError when the mount fails.
        """
        place = mountpoint or self.mount
        log = self.directory / f"{place.name}.log"
        start: list[str | Path] = [UNIONFS]
        if program or uid:
            start = [sys.executable, "-c", program + (_BECOME.format(uid=uid) if uid else "") + _MAIN]
        joined = ",".join([self.layers, *options])
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*within, *start, "mount", "-f", "--transport", self.transport, "-o", joined, place],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        daemon = Daemon(process, place, log)
        self._running.append(daemon)
        wait_for(lambda: is_mounted(place) or process.poll() is not None, "the mount")
        assert process.poll() is None, daemon.said
        return daemon

    def refused(self, *options: str, within: Sequence[str] = ()) -> str:
        """Give what the program says when it refuses to mount. Raises AssertionError when it mounts."""
        joined = ",".join([self.layers, *options])
        result = subprocess.run(
            [*within, UNIONFS, "mount", "--transport", self.transport, "-o", joined, self.mount],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        unmount_or_detach(self.mount)
        assert result.returncode == 1, result
        return result.stderr

    def end(self) -> None:
        """Take away every mount and daemon that is left."""
        for daemon in self._running:
            while is_mounted(daemon.mountpoint):
                unmount(daemon.mountpoint, MNT_DETACH)
            if daemon.process.poll() is None:
                try:
                    daemon.process.wait(5)
                except subprocess.TimeoutExpired:
                    daemon.process.kill()
                    daemon.process.wait()


# What is imported later has to be imported before: this user may not read where it lies.
_BECOME = """
import importlib, os, pkgutil
import unionfs.cli.mount, unionfs.fuse, unionfs.mount.stack
from unionfs.linux.process import set_dumpable
for module in pkgutil.walk_packages(unionfs.fuse.__path__, "unionfs.fuse."):
    importlib.import_module(module.name)
os.setgroups([])
os.setresgid({uid}, {uid}, {uid})
os.setresuid({uid}, {uid}, {uid})
set_dumpable(True)  # as it is for a program that this user starts
"""
_MAIN = """
import sys
from unionfs.cli import main
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def fuse_for_every_user() -> Iterator[None]:
    """Give ``/dev/fuse`` the mode that udev gives it, where there is no udev."""
    mode = stat.S_IMODE(os.stat("/dev/fuse").st_mode)
    os.chmod("/dev/fuse", 0o666)
    try:
        yield
    finally:
        os.chmod("/dev/fuse", mode)


@contextmanager
def room_in(directory: Path, writable: Path | None = None, transport: str = "auto") -> Iterator[Room]:
    """Give a room in *directory*, and end what runs in it."""
    room = Room(directory, writable, transport)
    try:
        yield room
    finally:
        room.end()
