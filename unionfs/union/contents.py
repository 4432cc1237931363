"""The names of one merged directory.

Owns which layer a name comes from. The lowers' names never change; the upper's are kept in step with what the mount
does to the upper, whose only writer it is.
"""

from collections.abc import Iterator, Sequence
from operator import attrgetter

from unionfs.layer.directory import Directory
from unionfs.layer.entry import Entry, Kind
from unionfs.union.listing import Listing

_kind_of = attrgetter("kind")


class Contents:
    """What the upper and the lowers hold at each name."""

    __slots__ = ("_ended", "_listing", "_spread", "lower", "upper")

    def __init__(self, upper: Directory | None, lowers: Sequence[Directory]) -> None:
        self.upper: dict[bytes, Entry] = {} if upper is None else upper.scan()
        self.lower: dict[bytes, Entry] = {}
        self._spread: dict[bytes, tuple[Directory, ...]] = {}
        self._listing: Listing | None = None
        # Names of directories beneath which something else ends the merging.
        self._ended: set[bytes] = set()
        for lower in lowers:
            self._merge(lower.scan())
        self._ended.clear()
        if Kind.WHITEOUT in map(_kind_of, self.lower.values()):
            self.lower = {name: entry for name, entry in self.lower.items() if entry.kind is not Kind.WHITEOUT}

    def _merge(self, beneath: dict[bytes, Entry]) -> None:
        """Put the names of a further layer beneath those known so far."""
        if not self.lower:
            self.lower = beneath
            return
        for name, entry in beneath.items():
            above = self.lower.setdefault(name, entry)
            if above is entry or above.kind is not Kind.DIR or name in self._ended:
                continue
            if entry.kind is Kind.DIR:
                self._spread[name] = (*self._spread.get(name, (above.directory,)), entry.directory)
            else:
                self._ended.add(name)

    def __len__(self) -> int:
        return len(self.upper) + len(self.lower)

    def get(self, name: bytes) -> Entry | None:
        """Give what shows at *name*: an entry of the upper or of a lower, or None."""
        entry = self.upper.get(name)
        if entry is None:
            return self.lower.get(name)
        return None if entry.kind is Kind.WHITEOUT else entry

    def lower_parents(self, name: bytes) -> tuple[Directory, ...]:
        """Give the lower directories, topmost first, that hold a directory *name* and show it merged."""
        entry = self.lower.get(name)
        if entry is None or entry.kind is not Kind.DIR:
            return ()
        return self._spread.get(name, (entry.directory,))

    def has_whiteout(self, name: bytes) -> bool:
        """Tell whether the upper holds a whiteout of *name*."""
        entry = self.upper.get(name)
        return entry is not None and entry.kind is Kind.WHITEOUT

    def set_upper(self, name: bytes, entry: Entry) -> None:
        """Note what now stands at *name* in the upper."""
        self.upper[name] = entry
        self._update_listing(name)

    def remove_upper(self, name: bytes) -> None:
        """Note that nothing stands at *name* in the upper any more."""
        self.upper.pop(name, None)
        self._update_listing(name)

    def _update_listing(self, name: bytes) -> None:
        if self._listing is None:
            return
        if self.get(name) is None:
            self._listing.remove(name)
        else:
            self._listing.add(name)

    def _visible(self) -> Iterator[bytes]:
        upper = self.upper
        yield from (name for name, entry in upper.items() if entry.kind is not Kind.WHITEOUT)
        yield from (name for name in self.lower if name not in upper) if upper else self.lower

    @property
    def is_empty(self) -> bool:
        """Whether no name shows."""
        return next(self._visible(), None) is None

    @property
    def listing(self) -> Listing:
        """The names that show, in listing order."""
        if self._listing is None:
            self._listing = Listing(self._visible())
        return self._listing
