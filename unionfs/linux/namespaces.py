"""Namespaces of this process (namespaces(7)): leaving those that it was started in, and what belongs to one."""

from unionfs.linux.libc import LIBC, check

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000


def unshare(flags: int) -> None:
    """Give the calling thread new namespaces of the kinds in *flags*; a new pid namespace is that of its children.

    Raises:
        OSError: EPERM without the right to, EINVAL for a user or pid namespace in a process with threads, ENOSPC where
            there are too many.
    """
    check(LIBC.unshare(flags))


def set_host_name(name: bytes) -> None:
    """Set the host name of this UTS namespace.

    Raises:
        OSError: EPERM without CAP_SYS_ADMIN there, EINVAL for more than 64 bytes.
    """
    check(LIBC.sethostname(name, len(name)))
