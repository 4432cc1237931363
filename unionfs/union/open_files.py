"""Descriptors of regular files that are being read or written: a bounded cache, the least recently used closed first.

A descriptor that a blocking step is using is closed only after the step.
"""

import contextlib
import os
from collections import OrderedDict
from collections.abc import Iterator

_MINIMUM = 16


class OpenFile:
    """One descriptor; ``writable`` says how it was opened, ``users`` how many steps are using it."""

    __slots__ = ("closed", "fd", "users", "writable")

    def __init__(self, fd: int, *, writable: bool) -> None:
        self.fd = fd
        self.writable = writable
        self.users = 0
        self.closed = False

    def close(self) -> None:
        """Close the descriptor, now or after the last step that uses it."""
        self.closed = True
        if not self.users:
            os.close(self.fd)

    @contextlib.contextmanager
    def held(self) -> Iterator[int]:
        """Keep the descriptor open for a step."""
        self.users += 1
        try:
            yield self.fd
        finally:
            self.users -= 1
            if self.closed and not self.users:
                os.close(self.fd)


class OpenFiles:
    """Open files by inode number."""

    def __init__(self, limit: int) -> None:
        self._limit = max(limit, _MINIMUM)
        self._files: OrderedDict[int, OpenFile] = OrderedDict()

    def get(self, number: int) -> OpenFile | None:
        """Give the open file of the inode *number*, now the most recently used."""
        found = self._files.get(number)
        if found is not None:
            self._files.move_to_end(number)
        return found

    def peek(self, number: int) -> OpenFile | None:
        """Give the open file of the inode *number* without counting that as a use."""
        return self._files.get(number)

    def add(self, number: int, fd: int, *, writable: bool) -> OpenFile:
        """Keep *fd* for the inode *number*, in the place of what it had."""
        self.drop(number)
        if len(self._files) >= self._limit:
            self._files.popitem(last=False)[1].close()
        opened = OpenFile(fd, writable=writable)
        self._files[number] = opened
        return opened

    def drop(self, number: int) -> None:
        """Close what the inode *number* has open."""
        found = self._files.pop(number, None)
        if found is not None:
            found.close()

    def shrink(self) -> None:
        """Close the older half, when descriptors have run out elsewhere."""
        for _ in range(len(self._files) // 2):
            self._files.popitem(last=False)[1].close()

    def close(self) -> None:
        """Close all of them."""
        while self._files:
            self._files.popitem()[1].close()

    def __len__(self) -> int:
        return len(self._files)
