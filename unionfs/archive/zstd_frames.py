"""Where zstd frames begin and end (RFC 8878), without decoding them.

The decoder at hand reports a stream cut off within a frame as its end. This follows the frames as their
bytes pass by, so that such an end is an error. It costs a few steps per block, which holds up to 128 KiB.
"""

from unionfs.archive.error import ArchiveError

MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = frozenset(bytes((low, 0x2A, 0x4D, 0x18)) for low in range(0x50, 0x60))
_DICTIONARY_ID_SIZE = (0, 1, 2, 4)
_CONTENT_SIZE_SIZE = (0, 2, 4, 8)
_CHECKSUM_SIZE = 4
_RLE = 1
_RESERVED = 3


def is_frame(start: bytes) -> bool:
    """Return whether ``start`` begins with the magic number of a frame, skippable ones included."""
    return start[:4] == MAGIC or start[:4] in _SKIPPABLE


class FrameWalk:
    """Follows the frames of one stream."""

    def __init__(self) -> None:
        self._head = b""
        self._skip = 0
        self._in_frame = False
        self._checksum = 0

    @property
    def complete(self) -> bool:
        """Whether all bytes so far are whole frames."""
        return not (self._in_frame or self._head or self._skip)

    def feed(self, piece: bytes) -> None:
        """Take the stream's next bytes; raises ArchiveError where no frame or block can begin."""
        position = 0
        while position < len(piece):
            if self._skip:
                step = min(self._skip, len(piece) - position)
                self._skip -= step
            else:
                step = min(self._needed() - len(self._head), len(piece) - position)
                self._head += piece[position : position + step]
                if len(self._head) == self._needed():
                    self._advance()
            position += step

    def _needed(self) -> int:
        """Return the size of the header being read, as far as its bytes so far tell."""
        if self._in_frame:
            return 3
        if len(self._head) < 5:
            return 5
        if self._head[:4] in _SKIPPABLE:
            return 8
        descriptor = self._head[4]
        single_segment = descriptor >> 5 & 1
        content_size = _CONTENT_SIZE_SIZE[descriptor >> 6] or single_segment
        return 5 + (1 - single_segment) + _DICTIONARY_ID_SIZE[descriptor & 3] + content_size

    def _advance(self) -> None:
        """Take in a complete header."""
        head, self._head = self._head, b""
        if self._in_frame:
            self._block(int.from_bytes(head, "little"))
        elif head[:4] in _SKIPPABLE:
            self._skip = int.from_bytes(head[4:], "little")
        elif head[:4] == MAGIC:
            self._in_frame = True
            self._checksum = _CHECKSUM_SIZE if head[4] & 4 else 0
        else:
            raise ArchiveError("zstd: something that is no frame follows a frame")

    def _block(self, header: int) -> None:
        kind, size = header >> 1 & 3, header >> 3
        if kind == _RESERVED:
            raise ArchiveError("zstd: a block has the reserved type")
        self._skip = 1 if kind == _RLE else size
        if header & 1:
            self._in_frame = False
            self._skip += self._checksum
