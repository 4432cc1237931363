"""The flags that an inode has on disk, as ``lsattr`` shows and ``chattr`` sets them.

Sources: ioctl_iflags(2); the kernel's overlayfs documentation, which counts setting them among what copies up.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator

from unionfs.linux import inode_flags
from unionfs.linux.inode_flags import Form
from unionfs.union.content import Content
from unionfs.union.copy_up import CopyUp
from unionfs.union.inode import AnyInode, DirectoryInode, Inode
from unionfs.union.step import Operation

_WORD = 4


class InodeFlags:
    """Gives and sets the flags of files and directories. ``copy_up`` is None on a read-only mount."""

    def __init__(self, content: Content, copy_up: CopyUp | None) -> None:
        self._content = content
        self._copy_up = copy_up

    def get(self, node: AnyInode, form: Form) -> bytes:
        """Give the flags of the file or directory that *node* shows.

        One of the layers beneath never shows as immutable or append-only: in the mount it can be changed.

        Raises:
            OSError: ENOTTY or EOPNOTSUPP where its file system keeps none, ENOENT for a removed directory.
        """
        if isinstance(node, DirectoryInode):
            with _opened(node) as fd:
                value = inode_flags.get_flags(fd, form)
            beneath = node.upper is None
        else:
            value = inode_flags.get_flags(self._content.readable(node).fd, form)
            beneath = node.is_metacopy or not node.in_upper
        return _changeable(value, form) if beneath else value

    def set(self, node: AnyInode, form: Form, value: bytes) -> Operation[None]:
        """Set the flags of the upper's file or directory, copying up first.

        Raises:
            OSError: EROFS, EPERM for flags that forbid changes, for which the daemon keeps no privilege, and what
                the upper's file system gives.
        """
        if self._copy_up is None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        yield from self._copy_up.inode(node)
        if isinstance(node, Inode):
            inode_flags.set_flags(self._content.writable(node).fd, form, value)
        else:
            with _opened(node) as fd:
                inode_flags.set_flags(fd, form, value)


def _changeable(value: bytes, form: Form) -> bytes:
    flags = int.from_bytes(value[:_WORD], sys.byteorder) & ~form.unchangeable
    return flags.to_bytes(_WORD, sys.byteorder) + value[_WORD:]


@contextlib.contextmanager
def _opened(node: DirectoryInode) -> Iterator[int]:
    if node.removed is not None:
        # Its path may lead to another directory by now.
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    with node.place.directory.opened() as fd:
        yield fd
