"""An uncompressed archive in a file, indexed once from its headers and then read in place."""

import os

from unionfs.archive.limits import Limits
from unionfs.archive.members import Members, Piece, read_members
from unionfs.archive.stream import CHUNK
from unionfs.tar import Entry, Reader

_BLOCK = 512
_ZEROS = bytes(CHUNK)


def indexed(descriptor: int, size: int, limits: Limits) -> Members:
    """Index the archive in the ``size`` bytes of ``descriptor``, which is duplicated, so that the caller may close it.

    Raises:
        ArchiveError: it isn't a whole archive.
    """
    headers = _Headers(descriptor, size)
    own = os.dup(descriptor)

    def place(entry: Entry, _reader: Reader) -> Piece:
        piece = Piece(own, headers.position, entry.size)
        headers.pass_over(entry.size)
        return piece

    try:
        return Members(read_members(headers, limits, place), [own])
    except BaseException:
        os.close(own)
        raise


class _Headers:
    """The archive as the tar reader gets it: no byte ahead of need, and zeros where the content of members is.

    So the position where an entry appears is that of its content, and an archive of many gigabytes is
    indexed by reading its headers alone.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self.position = 0
        """Bytes given so far."""
        self._descriptor = descriptor
        self._size = size
        self._content_end = 0

    def pass_over(self, size: int) -> None:
        """Give zeros for the next ``size`` bytes, as far as the file has them."""
        self._content_end = min(self.position + size, self._size)

    def read(self, size: int, /) -> bytes:
        """Return what comes next, at most one block where it is really read."""
        left = self._content_end - self.position
        if left > 0:
            piece = _ZEROS[: min(size, left)]
        else:
            piece = os.pread(self._descriptor, min(size, _BLOCK - self.position % _BLOCK), self.position)
        self.position += len(piece)
        return piece
