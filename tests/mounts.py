"""mount(2), umount2(2) and the mount table: mount, tell whether it is mounted, take it away come what may."""

import ctypes
import errno
import os
import re
import time
from pathlib import Path

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_REMOUNT = 32
MS_BIND = 4096
MNT_DETACH = 2
_LIBC = ctypes.CDLL(None, use_errno=True)


def is_mounted(mountpoint: Path) -> bool:
    """Tell whether something is mounted at ``mountpoint``, without asking the file system mounted there."""
    return mountpoint in _mountpoints()


def mounts_beneath(directory: Path) -> list[Path]:
    """Return where something is mounted beneath ``directory``, the deepest first."""
    return sorted((place for place in set(_mountpoints()) if directory in place.parents), reverse=True)


def _mountpoints() -> list[Path]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    # The kernel writes blanks, tabs, newlines and backslashes of a path as a backslash and three octal digits.
    return [Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), line.split(" ")[4])) for line in lines]


def mount(source: str, mountpoint: Path, kind: str, flags: int = 0, options: str = "") -> None:
    """Call mount(2). Raises OSError."""
    arguments = [os.fsencode(text) for text in (source, mountpoint, kind, options)]
    if _LIBC.mount(arguments[0], arguments[1], arguments[2], ctypes.c_ulong(flags), arguments[3]):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(mountpoint))


def unmount(mountpoint: Path, flags: int = 0) -> None:
    """Call umount2(2). Raises OSError."""
    if _LIBC.umount2(os.fsencode(mountpoint), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(mountpoint))


def unmount_or_detach(mountpoint: Path, patience: float = 1.0) -> bool:
    """Unmount; where files are still open after ``patience`` seconds, detach lazily and return False."""
    deadline = time.monotonic() + patience
    while is_mounted(mountpoint):
        try:
            unmount(mountpoint)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            if time.monotonic() > deadline:
                unmount(mountpoint, MNT_DETACH)
                return False
            time.sleep(0.01)
    return True
