"""Layers in a directory, mounted by either command as a user would do it."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.mounts import is_mounted, unmount_or_detach
from unionfs.linux.locks import flock_holder

_BIN = Path(sys.executable).parent
COMMANDS: Mapping[str, Sequence[str]] = {
    "unionfs mount": (str(_BIN / "unionfs"), "mount", "-o", "suid,dev"),
    "unionfs-overlay": (str(_BIN / "unionfs-overlay"),),
}


class Stack:
    """Lowers, the topmost first, an upper, and where they are mounted."""

    def __init__(self, root: Path, command: str, lowers: int = 1) -> None:
        self.command = command
        self.root = root
        self.lowers = [root / f"lower{number}" for number in range(lowers)]
        self.upper, self.work, self.merged = (root / name for name in ("upper", "work", "merged"))
        for directory in (*self.lowers, self.upper, self.work, self.merged):
            directory.mkdir()

    @property
    def options(self) -> str:
        """Give the three directories as every overlay takes them."""
        lowers = ":".join(map(str, self.lowers))
        return f"lowerdir={lowers},upperdir={self.upper},workdir={self.work}"

    def mount(self, more: str = "", before: Sequence[str] = ()) -> Path:
        """Mount, waiting for what an earlier mount has still to write, and give the root."""
        self.attempt(more, before=before).check_returncode()
        return self.merged

    def attempt(
        self, more: str = "", mountpoint: Path | None = None, before: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Try to mount, by the command that the words *before* start."""
        words = [*before, *COMMANDS[self.command], "-o", self.options + more, str(mountpoint or self.merged)]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)

    def unmount(self) -> None:
        """Unmount, and wait until the upper is let go: taking its lock is what the next mount does."""
        subprocess.run(["umount", self.merged], check=True)
        subprocess.run(["flock", self.upper, "true"], check=True, timeout=60)

    def remount(self, more: str = "") -> Path:
        """Unmount and mount again."""
        self.unmount()
        return self.mount(more)

    def daemon(self) -> int:
        """Give the process that serves the mount: the one that holds the upper's lock."""
        fd = os.open(self.upper, os.O_RDONLY)
        try:
            holder = flock_holder(fd)
        finally:
            os.close(fd)
        if holder is None:
            raise LookupError("nobody holds the upper")
        return holder

    def resident(self) -> int:
        """Give the daemon's resident memory in KiB."""
        lines = Path(f"/proc/{self.daemon()}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    def close(self) -> None:
        """Unmount whatever is mounted."""
        if is_mounted(self.merged):
            unmount_or_detach(self.merged)
