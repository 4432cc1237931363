"""Which id an owner on disk is shown as, and back: fuse-overlayfs's ``uidmapping``, ``gidmapping`` and ``squash_to_*``.

Owns the arithmetic of ids. Where they occur in what the kernel and the union say to each other is for ``translation``.
"""

from collections.abc import Iterable
from typing import NamedTuple, Self

_END = 0xFFFFFFFF  # the last number, (uid_t) -1, means no id

Range = tuple[int, int, int]
"""The first id on disk, the first id that is shown for it, and how many follow one another."""


class IdMap(NamedTuple):
    """The ids of users, or those of groups.

    ``ranges``: of two that hold an id the first counts, and without any every id is shown as itself. ``squashed_to``:
    the one id that all owners are shown as. ``overflow`` stands for what no range holds.
    """

    ranges: tuple[Range, ...] = ()
    squashed_to: int | None = None
    overflow: int = 65534

    @property
    def is_identity(self) -> bool:
        """Whether every id is shown as itself."""
        return not self.ranges and self.squashed_to is None

    def owner(self, on_disk: int) -> int:
        """Give the id that the owner *on_disk* is shown as."""
        if self.squashed_to is not None:
            return self.squashed_to
        shown = self.shown(on_disk)
        return self.overflow if shown is None else shown

    def shown(self, on_disk: int) -> int | None:
        """Give the id that *on_disk* is shown as where it isn't an owner's, and so isn't squashed; None without one."""
        if not self.ranges:
            return on_disk
        for first, first_shown, length in self.ranges:
            if first <= on_disk < first + length:
                return on_disk - first + first_shown
        return None

    def on_disk(self, shown: int) -> int | None:
        """Give the id that is kept for *shown*; None where no range holds it.

        Squashing doesn't count here, as with fuse-overlayfs: what is kept is whose it is.
        """
        if not self.ranges:
            return shown
        for first, first_shown, length in self.ranges:
            if first_shown <= shown < first_shown + length:
                return shown - first_shown + first
        return None


class IdMapping(NamedTuple):
    """The ids of one mount; as it is made without arguments it maps nothing."""

    users: IdMap = IdMap()
    groups: IdMap = IdMap()

    @classmethod
    def of(
        cls,
        uids: Iterable[Range] = (),
        gids: Iterable[Range] = (),
        *,
        squash_to_root: bool = False,
        squash_to_uid: int | None = None,
        squash_to_gid: int | None = None,
    ) -> Self:
        """Make a mapping of what fuse-overlayfs's options say.

        Of two ranges that hold an id the last counts, and one squashed id goes before ``squash_to_root``.

        Raises:
            ValueError: an id isn't one, or a range is empty or goes beyond the last id.
            OSError: ``/proc`` isn't there.
        """
        root = 0 if squash_to_root else None
        return cls(
            _map(tuple(uids)[::-1], root if squash_to_uid is None else squash_to_uid, "uid"),
            _map(tuple(gids)[::-1], root if squash_to_gid is None else squash_to_gid, "gid"),
        )

    def owners(self, uid: int, gid: int) -> tuple[int, int]:
        """Give the ids that the owner *uid* and the group *gid* on disk are shown as."""
        return self.users.owner(uid), self.groups.owner(gid)

    @property
    def is_identity(self) -> bool:
        """Whether every id is shown as itself."""
        return self.users.is_identity and self.groups.is_identity


def _map(ranges: tuple[Range, ...], squashed_to: int | None, kind: str) -> IdMap:
    for first, shown, length in ranges:
        if min(first, shown) < 0 or length < 1 or max(first, shown) + length > _END:
            raise ValueError(f"{kind}s {first}:{shown}:{length}: not a range of ids")
    if squashed_to is not None and not 0 <= squashed_to < _END:
        raise ValueError(f"{squashed_to} isn't a {kind}")
    if not ranges:
        return IdMap(squashed_to=squashed_to)
    with open(f"/proc/sys/kernel/overflow{kind}", encoding="ascii") as overflow:
        return IdMap(ranges, squashed_to, int(overflow.read()))
