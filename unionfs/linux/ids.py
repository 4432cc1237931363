"""The user and group ids that exist in this process's user namespace (user_namespaces(7))."""

import os
from typing import NamedTuple, Self

# The number that every kernel gives the first namespace (USER_NS_INIT_INO in include/uapi/linux/nsfs.h).
_INITIAL_NAMESPACE = 0xEFFFFFFD
_ALL = range(0xFFFFFFFF)  # the last number, (uid_t) -1, means no id


class MappedIds(NamedTuple):
    """The ids that can own a file here, and the process's own, which stands for all others."""

    uids: tuple[range, ...]
    gids: tuple[range, ...]
    own_uid: int
    own_gid: int

    @classmethod
    def parse(cls, uid_map: bytes, gid_map: bytes, own_uid: int, own_gid: int) -> Self:
        """Read the text of ``/proc/self/uid_map`` and ``gid_map``."""
        return cls(_ranges(uid_map), _ranges(gid_map), own_uid, own_gid)

    @property
    def is_everything(self) -> bool:
        """Whether every id exists, as outside of any user namespace."""
        return _ALL in self.uids and _ALL in self.gids

    @property
    def is_one(self) -> bool:
        """Whether there is one user id and one group id, to which no other file owner can be told apart."""
        return sum(map(len, self.uids)) <= 1 and sum(map(len, self.gids)) <= 1

    def has(self, uid: int, gid: int) -> bool:
        """Tell whether a file can belong to both ids."""
        return any(uid in ids for ids in self.uids) and any(gid in ids for ids in self.gids)

    def another(self) -> tuple[int, int] | None:
        """Give a user and a group id that aren't the process's own, or None where there are none."""
        uids = (ids[-1] for ids in self.uids if ids[-1] != self.own_uid)
        gids = (ids[-1] for ids in self.gids if ids[-1] != self.own_gid)
        uid, gid = next(uids, None), next(gids, None)
        return None if uid is None or gid is None else (uid, gid)

    def shown_uid(self, uid: int) -> int:
        """Give *uid*, or the process's own where that doesn't exist here."""
        return uid if any(uid in ids for ids in self.uids) else self.own_uid

    def shown_gid(self, gid: int) -> int:
        """Give *gid*, or the process's own where that doesn't exist here."""
        return gid if any(gid in ids for ids in self.gids) else self.own_gid


def mapped_ids() -> MappedIds | None:
    """Give the ids of this process's user namespace, or None where every id exists.

    Raises:
        OSError: ``/proc`` isn't there.
    """
    with open("/proc/self/uid_map", "rb") as uids, open("/proc/self/gid_map", "rb") as gids:
        found = MappedIds.parse(uids.read(), gids.read(), os.geteuid(), os.getegid())
    return None if found.is_everything else found


def is_initial_user_namespace() -> bool:
    """Tell whether this process is in no user namespace but the first, whose capabilities hold everywhere.

    Raises:
        OSError: ``/proc`` isn't there.
    """
    return os.stat("/proc/self/ns/user").st_ino == _INITIAL_NAMESPACE


def _ranges(text: bytes) -> tuple[range, ...]:
    found = []
    for line in text.splitlines():
        first, _, count = (int(word) for word in line.split())
        found.append(range(first, first + count))
    return tuple(found)
