"""The order in which a directory's names are listed, with cookies that stay valid while it changes."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator

LAST_DOT_COOKIE = 2  # 1 and 2 stand for "." and ".."
# What telldir(3) can give to a program of 32 bits.
LAST_COOKIE = 2**31 - 1


class Listing:
    """Names in listing order: those that came later come first.

    A name keeps its cookie until it is removed, and a new one comes before all others. So whoever lists meanwhile sees
    each name that stays exactly once (POSIX readdir), and comes to an end even if it adds a name for each it sees.
    Gaps are squeezed out when they are the greater part.
    """

    __slots__ = ("_by_name", "_gaps", "_names", "_next", "_serials")

    def __init__(self, names: Iterable[bytes]) -> None:
        self._names: list[bytes | None] = list(names)
        self._names.reverse()
        # A serial number is how far a cookie is from the last one, and so rises from the oldest name to the newest.
        self._serials = array("I", range(len(self._names)))
        # Made at the first change: a directory that is only listed does without.
        self._by_name: dict[bytes, int] | None = None
        self._next = len(self._names)
        self._gaps = 0

    @property
    def _serial_of(self) -> dict[bytes, int]:
        if self._by_name is None:
            self._by_name = {name: serial for name, serial in zip(self._names, self._serials, strict=True) if name}
        return self._by_name

    def add(self, name: bytes) -> None:
        """Let *name* come first, unless it is there."""
        if name in self._serial_of:
            return
        if self._next >= LAST_COOKIE - LAST_DOT_COOKIE:
            self._renumber()
        self._serial_of[name] = self._next
        self._names.append(name)
        self._serials.append(self._next)
        self._next += 1

    def _renumber(self) -> None:
        """Start anew after two thousand million names; a listing under way loses its place."""
        self._squeeze()
        self._serials = array("I", range(len(self._names)))
        self._by_name = None
        self._next = len(self._names)

    def remove(self, name: bytes) -> None:
        """Leave a gap at *name*, if it is there."""
        serial = self._serial_of.pop(name, None)
        if serial is None:
            return
        self._names[bisect_left(self._serials, serial)] = None
        self._gaps += 1
        if self._gaps > 64 and self._gaps * 2 > len(self._names):
            self._squeeze()

    def _squeeze(self) -> None:
        kept = [(name, serial) for name, serial in zip(self._names, self._serials, strict=True) if name is not None]
        self._names = [name for name, _ in kept]
        self._serials = array("I", (serial for _, serial in kept))
        self._gaps = 0

    def after(self, cookie: int) -> Iterator[tuple[bytes, int]]:
        """Give the names behind *cookie*, each with its own; one removed while iterating is left out."""
        names, serials = self._names, self._serials
        position = bisect_left(serials, LAST_COOKIE - cookie)
        while position:
            position -= 1
            name, cookie = names[position], LAST_COOKIE - serials[position]
            if name is not None:
                yield name, cookie
            if names is not self._names:
                # The gaps were squeezed out meanwhile; nothing else moves what comes later.
                names, serials = self._names, self._serials
                position = bisect_left(serials, LAST_COOKIE - cookie)

    def cookie(self, name: bytes) -> int | None:
        """Give the cookie of *name*, searched for one by one; None where it isn't listed."""
        try:
            return LAST_COOKIE - self._serials[self._names.index(name)]
        except ValueError:
            return None

    def __len__(self) -> int:
        return len(self._names) - self._gaps
