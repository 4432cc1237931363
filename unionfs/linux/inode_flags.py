"""The flags that an inode has on disk (ioctl_iflags(2)), and the longer form that XFS brought (struct fsxattr)."""

import fcntl
from typing import NamedTuple


class Form(NamedTuple):
    """One way to ask for the flags of an inode and to set them; the value, of *size* bytes, begins with the flags.

    *unchangeable* are those that forbid changes: immutable, and append only.
    """

    get: int
    set: int
    size: int
    unchangeable: int


# The numbers of PLAIN say that the value is a long, but it is an int.
PLAIN = Form(get=0x80086601, set=0x40086602, size=4, unchangeable=0x10 | 0x20)
EXTENDED = Form(get=0x801C581F, set=0x401C5820, size=28, unchangeable=0x08 | 0x10)


def get_flags(fd: int, form: Form) -> bytes:
    """Give the flags of the open file or directory.

    Raises:
        OSError: ENOTTY or EOPNOTSUPP where the file system keeps none.
    """
    return fcntl.ioctl(fd, form.get, bytes(form.size))


def set_flags(fd: int, form: Form, value: bytes) -> None:
    """Set the flags of the open file or directory.

    Raises:
        OSError: EPERM without the privilege for one of them, EOPNOTSUPP where the file system lacks one.
    """
    fcntl.ioctl(fd, form.set, value)
