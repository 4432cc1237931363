"""File handles: a name for an inode that outlives its paths (name_to_handle_at, open_by_handle_at)."""

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


def open_by_handle(mount_fd: int, handle: bytes, flags: int) -> int:
    """Open what ``file_handle`` gave *handle* for, through the mount of *mount_fd*, which isn't one of O_PATH.

    Raises:
        OSError: EPERM without CAP_DAC_READ_SEARCH, ESTALE where it is gone or on another file system.
    """
    kind, content = int.from_bytes(handle[:4], "big", signed=True), handle[4:]
    given = _FileHandle(len(content), kind, (ctypes.c_ubyte * _MAX_HANDLE_SIZE)(*content))
    return check(LIBC.open_by_handle_at(mount_fd, ctypes.byref(given), flags))
