"""Making entries: files, directories, symbolic links, devices and further names of a file.

Owns whose a new entry is, what may not be made, and when a new directory must be opaque.
"""

import errno
import os
import stat
from typing import NamedTuple

from unionfs.layer import acl
from unionfs.layer.attributes import Attributes
from unionfs.layer.directory import SELF, Directory
from unionfs.layer.entry import Entry, kind_of_mode
from unionfs.layer.marks import Marks
from unionfs.layer.ownership import Ownership
from unionfs.layer.upper import New, Upper
from unionfs.layer.whiteout import NAME_MAX, is_reserved
from unionfs.union.copy_up import CopyUp
from unionfs.union.inode import AnyInode, DirectoryInode, Identity, Inode, Place
from unionfs.union.nodes import Nodes, Seen
from unionfs.union.step import Operation


class Caller(NamedTuple):
    """Who asks. ``umask`` is applied here (a default access list replaces it), or is 0 where the kernel did that."""

    uid: int
    gid: int
    umask: int = 0


def check_new_name(name: bytes) -> None:
    """Refuse a name that can't be stored.

    Raises:
        OSError: ENAMETOOLONG beyond 255 bytes, EINVAL for ``.wh.``, which on disk means something else.
    """
    if len(name) > NAME_MAX:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), name)
    if is_reserved(name):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)


class Creation:
    """Makes entries in the upper."""

    def __init__(self, nodes: Nodes, upper: Upper, copy_up: CopyUp) -> None:
        self._nodes = nodes
        self._upper = upper
        self._copy_up = copy_up

    def make(
        self,
        parent: DirectoryInode,
        name: bytes,
        mode: int,
        caller: Caller,
        *,
        rdev: int = 0,
        target: bytes = b"",
    ) -> Seen:
        """Make *name* with the type and permissions of *mode*.

        Raises:
            OSError: EEXIST, EPERM for a device 0:0 (it is overlayfs's whiteout), and what making gives.
        """
        check_new_name(name)
        contents = self._nodes.contents(parent)
        if contents.get(name) is not None:
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        if stat.S_ISCHR(mode) and rdev == 0:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM), name)
        self._copy_up.directory(parent)
        upper = _upper_of(parent)
        above = upper.status()
        is_directory = stat.S_ISDIR(mode)
        ownership = self._ownership(parent, above, mode, caller, rdev)
        new = New(ownership, target, opaque=is_directory and name in contents.lower)
        status, fd, marks = self._upper.make(upper, name, new, over_whiteout=contents.has_whiteout(name), above=above)
        contents.set_upper(name, Entry(kind_of_mode(mode), status.st_ino, upper))
        node = self._inode(parent, name, mode, Identity(status.st_dev, status.st_ino), marks)
        parent.attach(name, node)
        if fd is not None:
            self._nodes.files.add(node.number, fd, writable=True)
        return Seen(node, Attributes(status))

    def make_nameless(self, parent: DirectoryInode, mode: int, caller: Caller) -> Inode:
        """Make a regular file as in *parent* that has no name until it is linked (open(2), O_TMPFILE)."""
        self._nodes.contents(parent)
        self._copy_up.directory(parent)
        ownership = self._ownership(parent, _upper_of(parent).status(), stat.S_IFREG | stat.S_IMODE(mode), caller, 0)
        staged = self._upper.stage(New(ownership), default_acl=_upper_of(parent).xattr(SELF, acl.DEFAULT))
        place = Place(self._upper.work, staged)
        with self._upper.workdir.discarding(staged):
            attributes, marks = place.directory.examine(staged)
        real = Identity(attributes.dev, attributes.ino)
        table = self._nodes.table
        node = Inode(table.free_number(real), real, place, stat.S_IFREG, in_upper=True)
        node.parked, node.linkable, node.ownership = True, True, marks.ownership
        table.add(node)
        return node

    def _inode(self, parent: DirectoryInode, name: bytes, mode: int, real: Identity, marks: Marks | None) -> AnyInode:
        assert parent.upper is not None
        table = self._nodes.table
        number = table.free_number(real)
        if stat.S_ISDIR(mode):
            node: AnyInode = DirectoryInode(number, real, parent.upper.child(name), (), parent.lower_path + b"/" + name)
        else:
            node = Inode(number, real, Place(parent.upper, name), stat.S_IFMT(mode), in_upper=True)
        if marks is not None:
            node.note(marks)
        else:
            # All that a new entry can have comes from its directory: a label, an access list.
            node.has_xattrs = parent.has_xattrs
        table.add(node)
        return node

    def _ownership(
        self, parent: DirectoryInode, above: os.stat_result, mode: int, caller: Caller, rdev: int
    ) -> Ownership:
        """Give what the new entry shows: a set-group-ID directory hands down its group (inode(7))."""
        inherited = self._nodes.ownership(parent, Attributes(above))
        gid, permissions = caller.gid, stat.S_IMODE(mode)
        if stat.S_ISLNK(mode):
            permissions = 0o777
        elif caller.umask and not self._has_default_acl(parent):
            permissions &= ~caller.umask
        if inherited.permissions & stat.S_ISGID:
            gid = inherited.gid
            if stat.S_ISDIR(mode):
                permissions |= stat.S_ISGID
        return Ownership(caller.uid, gid, permissions, stat.S_IFMT(mode), rdev)

    @staticmethod
    def _has_default_acl(parent: DirectoryInode) -> bool:
        return parent.has_xattrs and _upper_of(parent).xattr(SELF, acl.DEFAULT) is not None

    def link(self, node: Inode, parent: DirectoryInode, name: bytes) -> Operation[None]:
        """Give *node* the further name *name* in *parent*.

        Raises:
            OSError: EEXIST, ENOENT when the file has no name left, and what linking gives.
        """
        check_new_name(name)
        while True:
            contents = self._nodes.contents(parent)
            if contents.get(name) is not None:
                raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), name)
            if self._nodes.attributes(node).nlink == 0 and not node.linkable:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            if self._copy_up.is_movable(node):
                break
            # Others may change names meanwhile, so all is looked at again.
            yield from self._copy_up.make_movable(node)
        self._copy_up.record_move(node)
        self._copy_up.directory(parent)
        self._link(node, parent, name, over_whiteout=contents.has_whiteout(name))
        contents.set_upper(name, Entry(kind_of_mode(node.type_bits), node.real.inode, _upper_of(parent)))
        parent.attach(name, node)
        self._nodes.take_back(node, Place(_upper_of(parent), name))
        node.linkable = False

    def _link(self, node: Inode, parent: DirectoryInode, name: bytes, *, over_whiteout: bool) -> None:
        upper = _upper_of(parent)
        if node.link_key is None:
            self._upper.link(*node.place, upper, name, over_whiteout=over_whiteout)
            return
        with self._upper.links.change(node.link_key, node.lower_links, upper=1):
            self._upper.link(*node.place, upper, name, over_whiteout=over_whiteout)


def _upper_of(parent: DirectoryInode) -> Directory:
    assert parent.upper is not None
    return parent.upper
