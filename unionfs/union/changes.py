"""Changing what an inode shows: permissions, owner, size, times and extended attributes."""

import errno
import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from unionfs.layer import acl
from unionfs.layer.attributes import Attributes
from unionfs.layer.metadata import set_times
from unionfs.layer.private_xattrs import CAPABILITY, ENCODED_CAPABILITY, SECURITY, encoded, escape, unescape
from unionfs.layer.upper import Upper
from unionfs.linux import xattrs
from unionfs.union.content import Content
from unionfs.union.copy_up import CopyUp
from unionfs.union.inode import AnyInode, DirectoryInode, Inode
from unionfs.union.nodes import Nodes
from unionfs.union.step import Operation

_XATTR_NAME_MAX = 255


class Change(NamedTuple):
    """New values, None for what stays: bytes, permission bits, ids, nanoseconds since the epoch."""

    size: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    atime_ns: int | None = None
    mtime_ns: int | None = None


class Changes:
    """Changes attributes. ``upper`` and ``copy_up`` are None on a read-only mount."""

    def __init__(
        self, nodes: Nodes, upper: Upper | None, copy_up: CopyUp | None, content: Content, *, acl_enabled: bool
    ) -> None:
        self._nodes = nodes
        self._upper = upper
        self._copy_up = copy_up
        self._content = content
        self._acl = acl_enabled

    def change(self, node: AnyInode, change: Change, *, keep_set_id: bool) -> Operation[None]:
        """Apply *change* to *node*; a truncation without privilege takes set-id bits away.

        Raises:
            OSError: EROFS, EISDIR for the size of a directory, EPERM, EINVAL, ENOSPC.
        """
        if isinstance(node, DirectoryInode) and node.removed is not None:
            _apply_to_removed(node.removed, change)
            return
        if change.size is not None:
            if not isinstance(node, Inode):
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
            has_capability = node.has_xattrs and _read_xattr(node, CAPABILITY) is not None
            yield from self._content.truncate(node, change.size, keep_set_id=keep_set_id)
            if has_capability:
                # One that isn't encoded the file system has taken away.
                xattrs.discard(node.place.directory.path(node.place.name), ENCODED_CAPABILITY)
        yield from self._writable(node)
        if change.mode is not None or change.uid is not None or change.gid is not None:
            self._change_ownership(node, change)
        if change.atime_ns is not None or change.mtime_ns is not None:
            self._change_times(node, change.atime_ns, change.mtime_ns)

    @staticmethod
    def _change_times(node: AnyInode, atime_ns: int | None, mtime_ns: int | None) -> None:
        if atime_ns is None or mtime_ns is None:
            shown = node.place.directory.status(node.place.name)
            atime_ns = shown.st_atime_ns if atime_ns is None else atime_ns
            mtime_ns = shown.st_mtime_ns if mtime_ns is None else mtime_ns
        set_times(*node.place, atime_ns, mtime_ns)

    def _writable(self, node: AnyInode) -> Operation[Upper]:
        if self._copy_up is None or self._upper is None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        if _is_removed(node):
            # Its path may lead to another directory by now.
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        yield from self._copy_up.inode(node, content=False)
        return self._upper

    def _change_ownership(self, node: AnyInode, change: Change) -> None:
        assert self._upper is not None
        if node.ownership is None and not self._upper.metadata.may_record:
            # The entry itself shows all of it, so nothing needs to be known of it before.
            self._upper.metadata.change_entry(*node.place, uid=change.uid, gid=change.gid, mode=change.mode)
            return
        shown = self._nodes.attributes(node)
        wanted = self._nodes.ownership(node)
        if change.mode is not None:
            wanted = wanted._replace(permissions=stat.S_IMODE(change.mode))
        if change.uid is not None:
            wanted = wanted._replace(uid=change.uid)
        if change.gid is not None:
            wanted = wanted._replace(gid=change.gid)
        chown = change.uid is not None or change.gid is not None
        self._upper.metadata.change(*node.place, shown, wanted, chown=chown, chmod=change.mode is not None)
        self._read_ownership_again(node)

    def _read_ownership_again(self, node: AnyInode) -> None:
        assert self._upper is not None
        if node.ownership is not None or self._upper.metadata.may_record:
            node.ownership = node.place.directory.marks(node.place.name).ownership

    # Extended attributes.

    def get_xattr(self, node: AnyInode, name: bytes) -> bytes:
        """Give the attribute *name* as the mount shows it.

        Raises:
            OSError: ENODATA where there is none, EOPNOTSUPP for access lists on a mount without them.
        """
        value, on_disk = None, self._name_on_disk(name)
        if node.has_xattrs and not _is_removed(node):
            value = _read_xattr(node, on_disk)
        if value is None:
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
        if name == acl.ACCESS and node.ownership is not None:
            # The list on disk lets the daemon go on using the entry; the permissions that show are recorded.
            return acl.with_permissions(value, node.ownership.permissions)
        return value

    def list_xattrs(self, node: AnyInode, may_see_trusted: Callable[[], bool]) -> list[bytes]:
        """Give the names that the mount shows; *may_see_trusted* is asked when there are ``trusted.*`` ones."""
        if not node.has_xattrs or _is_removed(node):
            return []
        on_disk = node.place.directory.xattr_names(node.place.name)
        # One may be there by itself and encoded.
        shown = list(dict.fromkeys(name for name in map(unescape, on_disk) if name is not None))
        if not self._acl:
            shown = [name for name in shown if name not in acl.NAMES]
        if any(name.startswith(b"trusted.") for name in shown) and not may_see_trusted():
            shown = [name for name in shown if not name.startswith(b"trusted.")]
        return shown

    def set_xattr(
        self, node: AnyInode, name: bytes, value: bytes, flags: int, *, keep_setgid: bool = True
    ) -> Operation[None]:
        """Set the attribute *name*; an access list by somebody outside of the file's group takes set-group-ID away.

        Raises:
            OSError: EROFS, EEXIST or ENODATA by *flags*, EOPNOTSUPP, EPERM, ENOSPC.
        """
        on_disk = self._name_on_disk(name)
        self._check_flags(node, on_disk, flags)
        upper = yield from self._writable(node)
        node.has_xattrs = True
        _set_xattr(upper, node, on_disk, value, flags)
        if name == acl.ACCESS and (node.ownership is not None or upper.metadata.may_record):
            self._follow_acl(node, value)
        if name == acl.ACCESS and not keep_setgid:
            permissions = self._nodes.ownership(node).permissions
            self._change_ownership(node, Change(mode=permissions & ~stat.S_ISGID))

    @staticmethod
    def _check_flags(node: AnyInode, on_disk: bytes, flags: int) -> None:
        """Check before copying up, so that a failure changes nothing."""
        if not flags:
            return
        exists = _read_xattr(node, on_disk) is not None
        if flags & xattrs.CREATE and exists:
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
        if flags & xattrs.REPLACE and not exists:
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))

    def _follow_acl(self, node: AnyInode, value: bytes) -> None:
        """Show the permission bits that the access list says, where they are kept in an attribute (acl(5))."""
        assert self._upper is not None
        wanted = self._nodes.ownership(node)
        wanted = wanted._replace(permissions=wanted.permissions & 0o7000 | acl.permissions(value))
        self._upper.metadata.give(*node.place, wanted)
        self._read_ownership_again(node)

    def remove_xattr(self, node: AnyInode, name: bytes) -> Operation[None]:
        """Remove the attribute *name*; an access list that isn't there is removed already, as on any file system.

        Raises:
            OSError: EROFS, ENODATA where there is none, EPERM.
        """
        if self._upper is not None:
            try:
                self.get_xattr(node, name)
            except OSError as error:
                if error.errno == errno.ENODATA and name in acl.NAMES:
                    return
                raise
        yield from self._writable(node)
        on_disk = self._name_on_disk(name)
        path, encoded_name = node.place.directory.path(node.place.name), encoded(on_disk)
        if encoded_name is None or node.place.directory.xattr(node.place.name, encoded_name) is None:
            xattrs.remove(path, on_disk)
            return
        xattrs.discard(path, on_disk)
        xattrs.remove(path, encoded_name)

    def _name_on_disk(self, name: bytes) -> bytes:
        if name in acl.NAMES and not self._acl:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        on_disk = escape(name)
        if len(on_disk) > _XATTR_NAME_MAX:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return on_disk


def _read_xattr(node: AnyInode, on_disk: bytes) -> bytes | None:
    """Give the attribute that is kept encoded, or by itself."""
    directory, name = node.place
    encoded_name = encoded(on_disk)
    value = None if encoded_name is None else directory.xattr(name, encoded_name)
    return directory.xattr(name, on_disk) if value is None else value


def _set_xattr(upper: Upper, node: AnyInode, on_disk: bytes, value: bytes, flags: int) -> None:
    directory, name = node.place
    present = directory.xattr_names(name) if on_disk.startswith(SECURITY) else ()
    kept = upper.metadata.name_to_set(on_disk, present)
    # That there is one, or none, was checked; it may be there in the other way.
    xattrs.set_(directory.path(name), kept, value, flags if kept == on_disk else 0)


def _is_removed(node: AnyInode) -> bool:
    return isinstance(node, DirectoryInode) and node.removed is not None


def _apply_to_removed(shown: Attributes, change: Change) -> None:
    """A removed directory that is still open keeps what is set on it for as long as it is open."""
    if change.mode is not None:
        shown.mode = shown.type_bits | stat.S_IMODE(change.mode)
    shown.uid = shown.uid if change.uid is None else change.uid
    shown.gid = shown.gid if change.gid is None else change.gid
    shown.atime_ns = shown.atime_ns if change.atime_ns is None else change.atime_ns
    shown.mtime_ns = shown.mtime_ns if change.mtime_ns is None else change.mtime_ns
