"""renameat2(2): rename without replacing, by exchange, or leaving a whiteout."""

import ctypes

from unionfs.linux.libc import LIBC, check

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
RENAME_WHITEOUT = 4

_renameat2 = LIBC.renameat2
_renameat2.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_renameat2.restype = ctypes.c_int


def renameat2(source_fd: int, source: bytes, target_fd: int, target: bytes, flags: int = 0) -> None:
    """Rename *source* in the directory *source_fd* to *target* in *target_fd*.

    Raises:
        OSError: EINVAL where the file system lacks the flag, and what rename gives.
    """
    check(_renameat2(source_fd, source, target_fd, target, flags), source)
