"""Opening paths beneath a directory, so that no symbolic link leads out of it (openat2, Linux 5.6)."""

import ctypes
import os

from unionfs.linux.libc import system_call

SYS_OPENAT2 = 437
RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10
# A path that stays in one directory tree of one mount, whatever another process does to it meanwhile.
CONFINED = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def openat2(dir_fd: int, path: bytes, flags: int, mode: int = 0, resolve: int = CONFINED) -> int:
    """Open *path* relative to *dir_fd* under the rules *resolve*; the descriptor is close-on-exec.

    Raises:
        OSError: ELOOP for a symbolic link, EXDEV for a step out of the tree or mount, and what openat gives.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    return system_call(SYS_OPENAT2, dir_fd, ctypes.c_char_p(path), ctypes.byref(how), ctypes.sizeof(how))
