"""Ids in what the kernel asks and the union answers, where a mount shows others than those on disk.

Owns where ids occur besides attributes, and what is answered to one that nothing on disk stands for. The union and the
layers know only those on disk.
"""

import errno
import functools
import os
import struct
from collections.abc import Callable

from unionfs.fuse.id_mapping import IdMap, IdMapping
from unionfs.layer import acl
from unionfs.layer.private_xattrs import CAPABILITY
from unionfs.union.union import Caller, Change

# struct vfs_ns_cap_data (include/uapi/linux/capability.h): a word with the revision in its highest byte, four of
# capabilities, and the user id that is root where they hold.
_V3 = struct.Struct("<I16sI")
_V3_REVISION = 3
_NO_ID = 0xFFFFFFFF
_Change = Callable[[IdMap, int], int]


class Translation:
    """From the ids that a mount shows to those on disk, and back; without *ids* there is nothing to do."""

    def __init__(self, ids: IdMapping | None) -> None:
        self._ids = ids

    def caller(self, uid: int, gid: int, umask: int) -> Caller:
        """Give whose an entry is on disk that the caller makes: the overflow id's where nothing stands for the caller.

        So it is with fuse-overlayfs, and its callers count on it: podman's root, who has no id in a container's mount,
        makes a file there and gives it to somebody who has.
        """
        if self._ids is None:
            return Caller(uid, gid, umask)
        users, groups = self._ids
        uid_on_disk, gid_on_disk = users.on_disk(uid), groups.on_disk(gid)
        return Caller(
            users.overflow if uid_on_disk is None else uid_on_disk,
            groups.overflow if gid_on_disk is None else gid_on_disk,
            umask,
        )

    def change(self, change: Change) -> Change:
        """Give *change* with the owners that it means on disk.

        Raises:
            OSError: EOVERFLOW for an owner that nothing stands for, as in an idmapped mount of the kernel.
        """
        if self._ids is None:
            return change
        users, groups = self._ids
        if change.uid is not None:
            change = change._replace(uid=_on_disk(users, change.uid, errno.EOVERFLOW))
        if change.gid is not None:
            change = change._replace(gid=_on_disk(groups, change.gid, errno.EOVERFLOW))
        return change

    def xattr_shown(self, name: bytes, value: bytes) -> bytes:
        """Give the *value* on disk of the attribute *name* with the ids that show.

        In an access list the overflow id stands for what doesn't show. A file capability that holds only where such an
        id is root holds nowhere, as the kernel has it in a user namespace without that id.
        """
        return self._with_ids(
            name,
            value,
            lambda ids, on_disk: _shown(ids, on_disk, ids.overflow),
            lambda ids, root: _shown(ids, root, _NO_ID),
        )

    def xattr_on_disk(self, name: bytes, value: bytes) -> bytes:
        """Give the *value* that is kept of the attribute *name*.

        Raises:
            OSError: EINVAL for an id that nothing on disk stands for, as in a user namespace that lacks it.
        """
        return self._with_ids(name, value, _given, _given)

    def _with_ids(self, name: bytes, value: bytes, member: _Change, root: _Change) -> bytes:
        """Give *value* with what *member* makes of the ids in an access list, or *root* of that of a capability."""
        if self._ids is None:
            return value
        users, groups = self._ids
        if name in acl.NAMES:
            return acl.with_ids(value, functools.partial(member, users), functools.partial(member, groups))
        if name == CAPABILITY:
            return _with_root(value, functools.partial(root, users))
        return value


def _shown(ids: IdMap, on_disk: int, otherwise: int) -> int:
    shown = ids.shown(on_disk)
    return otherwise if shown is None else shown


def _on_disk(ids: IdMap, shown: int, error: int) -> int:
    on_disk = ids.on_disk(shown)
    if on_disk is None:
        raise OSError(error, os.strerror(error))
    return on_disk


def _given(ids: IdMap, shown: int) -> int:
    return _on_disk(ids, shown, errno.EINVAL)


def _with_root(value: bytes, change: Callable[[int], int]) -> bytes:
    """Give a file capability with another root, if it is of the kind that names one."""
    if len(value) != _V3.size:
        return value
    magic, capabilities, root = _V3.unpack(value)
    return _V3.pack(magic, capabilities, change(root)) if magic >> 24 == _V3_REVISION else value
