"""What files need beyond ``os``: reflinks, syncing a file system, access through descriptors."""

import ctypes
import fcntl
import os

from unionfs.linux.libc import LIBC, check
from unionfs.linux.mounts import file_system_type

FICLONE = 0x40049409
TMPFS_MAGIC = 0x01021994
RAMFS_MAGIC = 0x858458F6


def clone_content(source: int, target: int) -> None:
    """Make *target* share the blocks of *source* (a reflink).

    Raises:
        OSError: EOPNOTSUPP, EXDEV, EINVAL or ENOTTY where the file system can't.
    """
    fcntl.ioctl(target, FICLONE, source)


def sync_file_system(fd: int) -> None:
    """Write everything of the file system that holds *fd* to its device (syncfs)."""
    check(LIBC.syncfs(fd))


def allocate(fd: int, mode: int, offset: int, length: int) -> None:
    """Allocate, zero or free the range of a file, as *mode* says (fallocate(2), FALLOC_FL_*).

    Raises:
        OSError: EOPNOTSUPP where the file system lacks the mode, ENOSPC, EFBIG, EINVAL.
    """
    check(LIBC.fallocate64(fd, mode, ctypes.c_int64(offset), ctypes.c_int64(length)))


def is_in_memory(fd: int) -> bool:
    """Tell whether the file system that holds *fd* has no device, so that nothing in it is waited for or synced."""
    return file_system_type(fd) in (TMPFS_MAGIC, RAMFS_MAGIC)


def descriptor_path(fd: int) -> bytes:
    """Give the path by which system calls that take only a path reach the inode behind *fd*, of any type."""
    return b"/proc/self/fd/%d" % fd


def reopen(fd: int, flags: int) -> int:
    """Open the inode behind *fd*, which may be an O_PATH descriptor, anew with *flags*."""
    return os.open(descriptor_path(fd), flags | os.O_CLOEXEC)
