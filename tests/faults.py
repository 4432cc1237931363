"""System calls that fail on purpose: the n-th that would change a file system, or of those too that look at it.

It ends with an errno instead.

The calls themselves stay real; only the chosen one isn't made.
"""

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from xattr import lib

from unionfs.linux import rename

_IN_OS = (
    "rename", "link", "symlink", "mknod", "mkdir", "rmdir", "unlink", "chown", "chmod", "utime", "ftruncate", "pwrite",
    "copy_file_range",
)  # fmt: skip
_LOOKING_IN_OS = ("stat", "readlink", "scandir", "preadv", "pread")
_LOOKING_IN_XATTR = ("_listxattr", "_flistxattr", "_getxattr", "_fgetxattr")
_IN_XATTR = ("_setxattr", "_fsetxattr", "_removexattr", "_fremovexattr")


class Fault:
    """Which call is to fail, and whether it did."""

    def __init__(self, number: int, error: int) -> None:
        self._left = number
        self.error = error
        self.failed: str | None = None

    def strikes(self, call: str) -> bool:
        """Count *call*, and tell whether it is the one."""
        self._left -= 1
        if self._left:
            return False
        self.failed = call
        return True


@contextmanager
def failing(number: int, error: int = errno.ENOSPC, *, looking: bool = False) -> Iterator[Fault]:
    """Let the call with *number*, counted from 1, fail with *error*; with *looking* those that only look count too."""
    fault = Fault(number, error)
    replaced: list[tuple[Any, str, Any]] = []

    def replace(where: Any, name: str, instead: Any) -> None:
        replaced.append((where, name, getattr(where, name)))
        setattr(where, name, instead)

    for name in (*_IN_OS, *(_LOOKING_IN_OS if looking else ())):
        replace(os, name, _raising(fault, name, getattr(os, name)))
    replace(os, "open", _raising(fault, "open", os.open, lambda _, flags, *__: looking or bool(flags & os.O_CREAT)))
    for name in (*_IN_XATTR, *(_LOOKING_IN_XATTR if looking else ())):
        replace(lib, name, _raising(fault, name, getattr(lib, name)))
    replace(rename, "_renameat2", _returning(fault, rename._renameat2))
    try:
        yield fault
    finally:
        for where, name, original in replaced:
            setattr(where, name, original)


def _raising(
    fault: Fault, name: str, call: Callable[..., Any], counts: Callable[..., bool] = lambda *_: True
) -> Callable[..., Any]:
    def instead(*arguments: Any, **named: Any) -> Any:
        if counts(*arguments) and fault.strikes(name):
            raise OSError(fault.error, os.strerror(fault.error))
        return call(*arguments, **named)

    return instead


def _returning(fault: Fault, call: Callable[..., int]) -> Callable[..., int]:
    def instead(*arguments: Any) -> int:
        if fault.strikes("renameat2"):
            ctypes.set_errno(fault.error)
            return -1
        return call(*arguments)

    return instead
