"""When an inode was made, which only statx(2) tells."""

import ctypes
import struct

from unionfs.linux.libc import LIBC, check

AT_SYMLINK_NOFOLLOW = 0x100
STATX_BTIME = 0x800
_SIZE = 256
_MASK = struct.Struct("=I")
_BIRTH = struct.Struct("=80xqI")  # seconds and nanoseconds


def birth_time_ns(directory_fd: int, name: bytes) -> int | None:
    """Give when *name* itself was made, in nanoseconds since the epoch, or None where its file system doesn't keep it.

    Raises:
        OSError: ENOENT when it isn't there.
    """
    found = ctypes.create_string_buffer(_SIZE)
    check(LIBC.statx(directory_fd, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME, found), name)
    if not _MASK.unpack_from(found)[0] & STATX_BTIME:
        return None
    seconds, nanoseconds = _BIRTH.unpack_from(found)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
