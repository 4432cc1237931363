"""The C library, called so that a failure is an ``OSError``."""

import ctypes
import os
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000


def check(result: int, path: bytes | None = None) -> int:
    """Give back *result*, or raise the ``OSError`` of the call that returned -1."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result


def system_call(number: int, *arguments: Any) -> int:
    """Make the system call *number*; every integer is passed as a full register.

    Raises:
        OSError: the call failed.
    """
    registers = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return check(LIBC.syscall(ctypes.c_long(number), *registers))
