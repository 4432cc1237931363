"""Whose mounts the suites run on, and how each is mounted."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True)
class Candidate:
    """A way to mount: ``command`` gives it for options and a mountpoint; ``kind`` is the type in the mount table."""

    name: str
    kind: str
    command: Callable[[str, Path], Sequence[str]]

    def mount(self, options: str, mountpoint: Path) -> None:
        """Mount, and return when the mount answers.

        Raises:
            CalledProcessError: mounting failed; the program has said why on stderr.
        """
        subprocess.run(self.command(options, mountpoint), stdout=subprocess.DEVNULL, check=True)


def _overlayfs(options: str, mountpoint: Path) -> list[str]:
    return ["mount", "-t", "overlay", "-o", f"{options},redirect_dir=on", "overlay", str(mountpoint)]


def _unionfs(transport: str) -> Callable[[str, Path], list[str]]:
    def command(options: str, mountpoint: Path) -> list[str]:
        program = str(PROGRAMS / "unionfs")
        return [program, "mount", "--transport", transport, "-o", f"suid,dev,{options}", str(mountpoint)]

    return command


def _unionfs_overlay(options: str, mountpoint: Path) -> list[str]:
    return [str(PROGRAMS / "unionfs-overlay"), "-o", options, str(mountpoint)]


REFERENCE = Candidate("overlayfs", "overlay", _overlayfs)
OURS = (
    Candidate("unionfs kernel", "fuse.unionfs", _unionfs("kernel")),
    Candidate("unionfs pyfuse3", "fuse.unionfs", _unionfs("pyfuse3")),
    Candidate("unionfs-overlay", "fuse.unionfs-overlay", _unionfs_overlay),
)
