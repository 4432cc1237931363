"""What files need beyond ``os``: reflinks, syncing a file system, access through descriptors."""

import fcntl
import os

from unionfs.linux.libc import LIBC, check

FICLONE = 0x40049409


def clone_content(source: int, target: int) -> None:
    """Make *target* share the blocks of *source* (a reflink).

    Raises:
        OSError: EOPNOTSUPP, EXDEV, EINVAL or ENOTTY where the file system can't.
    """
    fcntl.ioctl(target, FICLONE, source)


def sync_file_system(fd: int) -> None:
    """Write everything of the file system that holds *fd* to its device (syncfs)."""
    check(LIBC.syncfs(fd))


def descriptor_path(fd: int) -> bytes:
    """Give the path by which system calls that take only a path reach the inode behind *fd*, of any type."""
    return b"/proc/self/fd/%d" % fd


def reopen(fd: int, flags: int) -> int:
    """Open the inode behind *fd*, which may be an O_PATH descriptor, anew with *flags*."""
    return os.open(descriptor_path(fd), flags | os.O_CLOEXEC)
