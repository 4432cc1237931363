"""The mount calls: private clones of a mount, new file systems, what is mounted, and unmounting."""

import ctypes
import errno
import os
from collections.abc import Mapping

from unionfs.linux.libc import AT_EMPTY_PATH, AT_RECURSIVE, LIBC, check, system_call

SYS_OPEN_TREE = 428
SYS_MOVE_MOUNT = 429
SYS_FSOPEN = 430
SYS_FSCONFIG = 431
SYS_FSMOUNT = 432
SYS_MOUNT_SETATTR = 442
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR__ATIME = 0x70
MOUNT_ATTR_NOSYMFOLLOW = 0x200000
MNT_FORCE = 1
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
CLONE_NEWNS = 0x20000
# include/uapi/linux/mount.h
_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 0, 1, 6
_MOVE_EMPTY_PATHS = 0x4 | 0x40


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def clone_tree(fd: int, *, recursive: bool = False) -> int:
    """Give a descriptor of a private, unattached clone of the mount at *fd*, a directory or a file of it.

    Its submounts are left out unless *recursive*.

    Raises:
        OSError: EPERM without the right to mount; EINVAL where a locked submount must not be uncovered.
    """
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    return system_call(SYS_OPEN_TREE, fd, ctypes.c_char_p(b""), flags)


def new_file_system(kind: bytes, options: Mapping[bytes, bytes | None], attributes: int = 0) -> int:
    """Give a descriptor of a new, unattached mount of the type *kind* (Linux 5.2); an option of None is a flag.

    Raises:
        OSError: EPERM without the right to, or where it would show what a mount above hides; ENODEV, EINVAL.
    """
    context = system_call(SYS_FSOPEN, ctypes.c_char_p(kind), _FSOPEN_CLOEXEC)
    try:
        for name, value in options.items():
            command = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
            system_call(SYS_FSCONFIG, context, command, ctypes.c_char_p(name), ctypes.c_char_p(value), 0)
        system_call(SYS_FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0)
        return system_call(SYS_FSMOUNT, context, _FSMOUNT_CLOEXEC, attributes)
    finally:
        os.close(context)


def attach_tree(tree_fd: int, place_fd: int) -> None:
    """Mount the unattached *tree_fd* on the directory or file behind *place_fd*.

    Raises:
        OSError: EPERM without the right to mount; EINVAL, ENOTDIR where one is a directory and the other isn't.
    """
    empty = ctypes.c_char_p(b"")
    system_call(SYS_MOVE_MOUNT, tree_fd, empty, place_fd, empty, _MOVE_EMPTY_PATHS)


def set_mount_attributes(tree_fd: int, *, set_: int = 0, clear: int = 0, recursive: bool = False) -> None:
    """Change the attributes of the mount at *tree_fd*, and with *recursive* of all beneath it (Linux 5.12).

    Raises:
        OSError: EPERM without the right, EINVAL for an attribute that the kernel doesn't know.
    """
    attributes = _MountAttributes(set_, clear, 0, 0)
    system_call(
        SYS_MOUNT_SETATTR,
        tree_fd,
        ctypes.c_char_p(b""),
        AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0),
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


def make_private(path: bytes) -> None:
    """Let no mount made or ended elsewhere reach *path* and beneath, nor the other way round.

    Raises:
        OSError: EINVAL where *path* is no mountpoint.
    """
    check(LIBC.mount(None, path, None, MS_REC | MS_PRIVATE, None), path)


def pivot_root_here() -> None:
    """Make the working directory, a mountpoint, the root of this mount namespace, and let go of the one before.

    Raises:
        OSError: EINVAL where the working directory is no mountpoint, or the root is that of the initial RAM disk.
    """
    # pivot_root(2): with "." for both, the old root is on top of the new one at ".", from where it is taken away.
    check(LIBC.pivot_root(b".", b"."))
    umount2(b".", MNT_DETACH)
    os.chdir(b"/")
