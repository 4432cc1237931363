"""The mount calls: private clones of a mount, what is mounted, and unmounting."""

import ctypes
import errno
import os

from unionfs.linux.libc import AT_EMPTY_PATH, LIBC, check, system_call

SYS_OPEN_TREE = 428
SYS_MOUNT_SETATTR = 442
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR__ATIME = 0x70
MOUNT_ATTR_NOSYMFOLLOW = 0x200000
MNT_FORCE = 1
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8
MS_REC = 0x4000
MS_SLAVE = 0x80000
CLONE_NEWNS = 0x20000


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def clone_tree(directory_fd: int) -> int:
    """Give a descriptor of a private, unattached clone of the mount at *directory_fd*, without its submounts.

    Raises:
        OSError: EPERM without the right to mount; EINVAL where a locked submount must not be uncovered.
    """
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH
    return system_call(SYS_OPEN_TREE, directory_fd, ctypes.c_char_p(b""), flags)


def set_mount_attributes(tree_fd: int, *, set_: int = 0, clear: int = 0) -> None:
    """Change the attributes of the mount at *tree_fd* (Linux 5.12).

    Raises:
        OSError: EPERM without the right, EINVAL for an attribute that the kernel doesn't know.
    """
    attributes = _MountAttributes(set_, clear, 0, 0)
    system_call(
        SYS_MOUNT_SETATTR,
        tree_fd,
        ctypes.c_char_p(b""),
        AT_EMPTY_PATH,
        ctypes.byref(attributes),
        ctypes.sizeof(attributes),
    )


def mount_of(fd: int) -> int:
    """Give the number of the mount that *fd* was opened in.

    Raises:
        OSError: /proc isn't there.
    """
    with open(f"/proc/self/fdinfo/{fd}", "rb") as lines:
        for line in lines:
            if line.startswith(b"mnt_id:"):
                return int(line.split()[1])
    raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))


def file_system_type(fd: int) -> int:
    """Give the number of the type of the file system that holds *fd* (fstatfs(2), ``f_type``)."""
    # The structure begins with it, as a word whose high half is 0; its whole takes less than the room given.
    found = (ctypes.c_uint32 * 64)()
    check(LIBC.fstatfs64(fd, found))
    return found[0] or found[1]


def umount2(path: bytes, flags: int = 0) -> None:
    """Unmount *path*.

    Raises:
        OSError: EBUSY while in use (unless MNT_DETACH), EINVAL when nothing is mounted there, EPERM.
    """
    check(LIBC.umount2(path, flags), path)


def unshare_mounts() -> None:
    """Give the calling thread a mount namespace of its own, a copy of the one that it was in.

    Raises:
        OSError: EPERM without the right to.
    """
    check(LIBC.unshare(CLONE_NEWNS))


def join_mounts(namespace_fd: int) -> None:
    """Move the calling thread to a mount namespace.

    Raises:
        OSError: EPERM without the right to.
    """
    check(LIBC.setns(namespace_fd, CLONE_NEWNS))


def make_slave(path: bytes) -> None:
    """Let what is mounted and unmounted at *path* and beneath reach no other namespace; what is done there comes here.

    Raises:
        OSError: EINVAL where *path* is no mountpoint.
    """
    check(LIBC.mount(None, path, None, MS_REC | MS_SLAVE, None), path)
