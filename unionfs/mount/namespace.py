"""Leaving the mount namespace that was mounted in, so that the mount ends when its last user leaves that.

A process keeps its namespace, with all that is mounted in it. So a daemon in one that somebody made for himself
(unshare(1), a rootless container engine) would keep it, its own mount and itself for ever; overlayfs, which has no
daemon, ends with the namespace. Owns moving to one with hardly a mount. Layers are kept by descriptors.
"""

import logging
import os

from unionfs.linux.mounts import MNT_DETACH, UMOUNT_NOFOLLOW, join_mounts, make_slave, umount2, unshare_mounts
from unionfs.mount import table

_log = logging.getLogger(__name__)
_OURS = "/proc/self/ns/mnt"
# Every process may read its mount table, and few may ask for its namespace.
_TABLE_OF_FIRST = "/proc/1/mountinfo"
# What the daemon goes on using by path: its own descriptors, and the log.
_KEPT = frozenset((b"/", b"/proc", b"/dev", b"/run"))


def leave_made_namespace() -> bool:
    """Move this thread, the only one, to a mount namespace of its own unless it is in that of process 1; tell so.

    The first one lasts as long as the machine or the container, and a mount in it is ended there.
    """
    try:
        if _is_first():
            return False
        return _leave()
    except OSError as error:
        _log.warning("the mount lasts as long as this process: %s", error)
        return False


def _leave() -> bool:
    before = os.open(_OURS, os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare_mounts()
        _keep_little(before)
    finally:
        os.close(before)
    return True


def _is_first() -> bool:
    """Tell whether this is the namespace of process 1: no two have a mount with the same number."""
    with open(_TABLE_OF_FIRST, "rb") as file:
        first = table.parse_mountinfo(file.read())
    return not {mount.mount_id for mount in first}.isdisjoint(mount.mount_id for mount in table.read_table())


def _keep_little(before: int) -> None:
    """Detach what is mounted in this namespace, a copy of *before*, without that the other one notices."""
    try:
        make_slave(b"/")
    except OSError:
        join_mounts(before)
        raise
    for mount in reversed(table.read_table()):
        if mount.mountpoint not in _KEPT:
            _detach(mount.mountpoint)


def _detach(mountpoint: bytes) -> None:
    try:
        umount2(mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW)
    except OSError as error:
        # Beneath one that is detached already, or covered by another.
        _log.debug("%s stays in the daemon's namespace: %s", os.fsdecode(mountpoint), error)
