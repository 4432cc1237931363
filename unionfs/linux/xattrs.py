"""Extended attributes, on the ``xattr`` package; the only module of the project that touches them.

A file is named by a path (a final symbolic link is never followed) or by an open descriptor.
The package's ``lib`` layer is used because its object layer costs three times as much per call
(3.3 against 1.2 microseconds for a list) and decodes names, which on Linux are bytes.
"""

import errno
from collections.abc import Callable

from xattr import lib

# As the kernel numbers them; the package has numbers of its own.
CREATE = 1
REPLACE = 2
_FLAGS = {0: 0, CREATE: lib.XATTR_CREATE, REPLACE: lib.XATTR_REPLACE, CREATE | REPLACE: lib.XATTR_CREATE}
_NOFOLLOW: int = lib.XATTR_NOFOLLOW

_MOST_ATTEMPTS = 100

File = bytes | int


def list_names(file: File) -> list[bytes]:
    """Give the names of *file*'s attributes; on a file system without attributes there are none.

    Raises:
        OSError: the file can't be reached.
    """
    if isinstance(file, int):
        packed = _while_it_grows(lib._flistxattr, file)
    else:
        packed = _while_it_grows(lib._listxattr, file, _NOFOLLOW)
    return packed.split(b"\0")[:-1] if packed else []


def get(file: File, name: bytes) -> bytes | None:
    """Give the value of the attribute *name*, or None where there is none.

    Raises:
        OSError: the file can't be reached, or the attribute may not be read.
    """
    if isinstance(file, int):
        return _while_it_grows(lib._fgetxattr, file, name)
    return _while_it_grows(lib._getxattr, file, name, 0, 0, _NOFOLLOW)


def set_(file: File, name: bytes, value: bytes, flags: int = 0) -> None:
    """Set the attribute *name*; *flags* is CREATE, REPLACE or 0.

    Raises:
        OSError: EEXIST or ENODATA by *flags*, EOPNOTSUPP, EPERM, ENOSPC, E2BIG and others of setxattr(2).
    """
    if isinstance(file, int):
        lib._fsetxattr(file, name, value, options=_FLAGS[flags])
    else:
        lib._setxattr(file, name, value, options=_FLAGS[flags] | _NOFOLLOW)


def remove(file: File, name: bytes) -> None:
    """Remove the attribute *name*.

    Raises:
        OSError: ENODATA where there is none, and others of removexattr(2).
    """
    if isinstance(file, int):
        lib._fremovexattr(file, name)
    else:
        lib._removexattr(file, name, _NOFOLLOW)


def discard(file: File, name: bytes) -> None:
    """Remove the attribute *name* where there is one."""
    try:
        remove(file, name)
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.EOPNOTSUPP):
            raise


def _while_it_grows(read: Callable[..., bytes], *arguments: bytes | int) -> bytes | None:
    """Call *read* with *arguments*, which asks for a size and then the bytes, again when the value grew in between.

    Not for ever: a name that no attribute can have gives the same error.
    """
    attempts = 0
    while True:
        try:
            return read(*arguments)
        except OSError as error:
            attempts += 1
            if error.errno in (errno.ENODATA, errno.EOPNOTSUPP):
                return None
            if error.errno != errno.ERANGE or attempts == _MOST_ATTEMPTS:
                raise
