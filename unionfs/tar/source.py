"""The byte stream under the reader: buffered, counted, read to its end.

Knows nothing of tar but that everything in it is small headers between possibly large content.
"""

from typing import Protocol

CHUNK = 1 << 20
"""Bytes asked of the stream at a time, and the most that one piece of content holds."""


class Stream(Protocol):
    """Anything whose ``read(n)`` gives at most n bytes, and none only at its end."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; empty at the end."""
        ...


class Source:
    """A stream with a buffer in front, so that headers and small files cost a slice and not a read."""

    __slots__ = ("_before", "_buffer", "_position", "_read")

    def __init__(self, stream: Stream) -> None:
        self._read = stream.read
        self._buffer = b""
        self._position = 0
        self._before = 0

    @property
    def offset(self) -> int:
        """The number of bytes consumed so far."""
        return self._before + self._position

    def take(self, size: int) -> bytes:
        """Consume exactly ``size`` bytes; fewer only when the stream ends before."""
        start = self._position
        end = start + size
        if end > len(self._buffer):
            self._fill(size)
            start, end = 0, size
        piece = self._buffer[start:end]
        self._position = start + len(piece)
        return piece

    def some(self, limit: int) -> bytes:
        """Consume between 1 and ``limit`` bytes, whatever is at hand; none only when the stream has ended."""
        start = self._position
        if start == len(self._buffer):
            if limit >= CHUNK:
                # Straight through: large content is not copied into the buffer and out again.
                piece = self._read(CHUNK)
                self._before += len(piece)
                return piece
            self._fill(1)
            start = 0
        piece = self._buffer[start : start + min(limit, CHUNK)]
        self._position = start + len(piece)
        return piece

    def skip(self, size: int) -> int:
        """Consume ``size`` bytes unseen; return how many the stream lacked."""
        end = self._position + size
        if end <= len(self._buffer):
            self._position = end
            return 0
        while size:
            piece = self.some(size)
            if not piece:
                break
            size -= len(piece)
        return size

    def _fill(self, size: int) -> None:
        """Let the buffer start at the present position and hold ``size`` bytes, or all there are."""
        pieces = [self._buffer[self._position :]]
        have = len(pieces[0])
        self._before += self._position
        self._position = 0
        while have < size:
            piece = self._read(CHUNK)
            if not piece:
                break
            pieces.append(piece)
            have += len(piece)
        self._buffer = b"".join(pieces)
