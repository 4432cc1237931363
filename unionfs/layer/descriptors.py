"""A bounded set of open directory descriptors, the least recently used closed first.

An operation holds at most a handful of directories at once, so the few most recently used ones are never closed
under it: ``MINIMUM`` keeps the bound above that.
"""

import os
from collections import OrderedDict
from collections.abc import Hashable

MINIMUM = 32


class Descriptors:
    """Descriptors by owner."""

    def __init__(self, limit: int) -> None:
        self._limit = max(limit, MINIMUM)
        self._open: OrderedDict[Hashable, int] = OrderedDict()

    def get(self, owner: Hashable) -> int | None:
        """Give the open descriptor of *owner*, now the most recently used."""
        fd = self._open.get(owner)
        if fd is not None:
            self._open.move_to_end(owner)
        return fd

    def add(self, owner: Hashable, fd: int) -> None:
        """Keep *fd* for *owner*."""
        if len(self._open) >= self._limit:
            os.close(self._open.popitem(last=False)[1])
        self._open[owner] = fd

    def drop(self, owner: Hashable) -> None:
        """Close the descriptor of *owner*, if it is open."""
        fd = self._open.pop(owner, None)
        if fd is not None:
            os.close(fd)

    def shrink(self) -> None:
        """Close the older half, when descriptors have run out elsewhere."""
        for _ in range(max(0, (len(self._open) - MINIMUM) // 2)):
            os.close(self._open.popitem(last=False)[1])

    def close(self) -> None:
        """Close all of them."""
        while self._open:
            os.close(self._open.popitem()[1])

    def __len__(self) -> int:
        return len(self._open)
