"""Opening a directory as a read-only layer.

Owns the layer's isolation: where the kernel lets us, a private clone of the mount, read-only, without access times,
devices and the following of links, in which no other mount shows, so that the mount point may lie at or inside it.
"""

import errno
import os

from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import Directory, Tree
from unionfs.linux import mounts
from unionfs.linux.files import is_in_memory

_NOT_ALLOWED = (errno.EPERM, errno.EINVAL, errno.ENOSYS)


def open_directory(path: bytes) -> int:
    """Open the directory *path*, following the symbolic links that its caller wrote.

    Raises:
        OSError: ENOENT, ENOTDIR, EACCES.
    """
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def clone_or_same(fd: int, *, read_only: bool) -> tuple[int, bool]:
    """Give a private clone of the mount at *fd* and True, or *fd* itself and False where that isn't allowed."""
    try:
        clone = mounts.clone_tree(fd)
    except OSError as error:
        if error.errno not in _NOT_ALLOWED:
            raise
        return fd, False
    # A device is shown and never opened here, not even where another process puts one in the place of a file.
    attributes = mounts.MOUNT_ATTR_NOSYMFOLLOW | mounts.MOUNT_ATTR_NODEV
    if read_only:
        attributes |= mounts.MOUNT_ATTR_RDONLY
    try:
        mounts.set_mount_attributes(clone, set_=attributes | mounts.MOUNT_ATTR_NOATIME, clear=mounts.MOUNT_ATTR__ATIME)
    except OSError as error:
        os.close(clone)
        if error.errno not in _NOT_ALLOWED:
            raise
        return fd, False
    os.close(fd)
    return clone, True


def open_lower(path: bytes, position: int, descriptors: Descriptors) -> Directory:
    """Open *path* as the layer at *position* and give its root.

    Raises:
        OSError: *path* isn't a directory that can be read.
    """
    fd, confined = clone_or_same(open_directory(path), read_only=True)
    try:
        with os.scandir(b"/proc/self/fd/%d" % fd):
            device, in_memory = os.fstat(fd).st_dev, is_in_memory(fd)
    except OSError as error:
        os.close(fd)
        error.filename = path
        raise
    tree = Tree(descriptors, device, position=position, confined=confined, in_memory=in_memory)
    return Directory(tree, None, b"", fd)
