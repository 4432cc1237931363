"""File handles: a name for an inode that outlives its paths (name_to_handle_at)."""

import ctypes

from unionfs.linux.libc import AT_EMPTY_PATH, LIBC, check

_MAX_HANDLE_SIZE = 128


class _FileHandle(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_uint),
        ("kind", ctypes.c_int),
        ("handle", ctypes.c_ubyte * _MAX_HANDLE_SIZE),
    )


def file_handle(dir_fd: int, name: bytes = b"") -> bytes:
    """Give the handle, type and bytes, of *name* in *dir_fd* or of the descriptor itself; links aren't followed.

    Raises:
        OSError: EOPNOTSUPP where the file system has no handles, EOVERFLOW where it has none of 128 bytes at most.
    """
    handle = _FileHandle(size=_MAX_HANDLE_SIZE)
    mount_id = ctypes.c_int()
    flags = AT_EMPTY_PATH if not name else 0
    check(LIBC.name_to_handle_at(dir_fd, name, ctypes.byref(handle), ctypes.byref(mount_id), flags), name)
    kind = int(handle.kind).to_bytes(4, "big", signed=True)
    return kind + bytes(handle.handle[: handle.size])
