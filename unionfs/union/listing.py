"""The order in which a directory's names are listed, with cookies that stay valid while it changes."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator

LAST_DOT_COOKIE = 2  # 1 and 2 stand for "." and ".."
FIRST_COOKIE = 3


class Listing:
    """Names in listing order.

    A name keeps its cookie until it is removed; a new name is appended. So whoever lists meanwhile sees each name
    that stays exactly once (POSIX readdir). Gaps are squeezed out when they are the greater part.
    """

    __slots__ = ("_by_name", "_cookies", "_gaps", "_names", "_next")

    def __init__(self, names: Iterable[bytes]) -> None:
        self._names: list[bytes | None] = list(names)
        self._cookies = array("Q", range(FIRST_COOKIE, FIRST_COOKIE + len(self._names)))
        # Made at the first change: a directory that is only listed does without.
        self._by_name: dict[bytes, int] | None = None
        self._next = FIRST_COOKIE + len(self._names)
        self._gaps = 0

    @property
    def _of_name(self) -> dict[bytes, int]:
        if self._by_name is None:
            self._by_name = {name: cookie for name, cookie in zip(self._names, self._cookies, strict=True) if name}
        return self._by_name

    def add(self, name: bytes) -> None:
        """Append *name*, unless it is there."""
        if name in self._of_name:
            return
        self._of_name[name] = self._next
        self._names.append(name)
        self._cookies.append(self._next)
        self._next += 1

    def remove(self, name: bytes) -> None:
        """Leave a gap at *name*, if it is there."""
        cookie = self._of_name.pop(name, None)
        if cookie is None:
            return
        self._names[bisect_right(self._cookies, cookie) - 1] = None
        self._gaps += 1
        if self._gaps > 64 and self._gaps * 2 > len(self._names):
            self._squeeze()

    def _squeeze(self) -> None:
        kept = [(name, cookie) for name, cookie in zip(self._names, self._cookies, strict=True) if name is not None]
        self._names = [name for name, _ in kept]
        self._cookies = array("Q", (cookie for _, cookie in kept))
        self._gaps = 0

    def after(self, cookie: int) -> Iterator[tuple[bytes, int]]:
        """Give the names behind *cookie*, each with its own; those added while iterating come too."""
        while True:
            position = bisect_right(self._cookies, cookie)
            if position >= len(self._names):
                return
            cookie = self._cookies[position]
            name = self._names[position]
            if name is not None:
                yield name, cookie

    def __len__(self) -> int:
        return len(self._names) - self._gaps
