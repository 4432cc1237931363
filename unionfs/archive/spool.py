"""An archive that is compressed or can be read only once, put into unnamed files so that it can be read in any order.

A large member gets a file of its own, which whoever keeps it can give a name instead of copying it.
"""

import errno
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from unionfs.archive.decompress import decompress
from unionfs.archive.limits import Limits
from unionfs.archive.members import Members, Piece, read_members
from unionfs.tar import Entry, Reader
from unionfs.tar.source import Stream

_LARGE = 1 << 20
_MOST_FILES = 128
"""So many members get a file of their own; image archives have fewer large ones, and descriptors are limited."""


def spooled(stream: Stream, limits: Limits, directory: Path | None = None) -> Members:
    """Read an archive, decompressed, into unnamed files in *directory*, by default ``$TMPDIR``.

    Raises:
        ArchiveError: the stream is damaged, isn't a whole archive, or is over the limit ``expanded``.
        OSError: there is no room.
    """
    place = os.fspath(directory or tempfile.gettempdir())
    with ExitStack() as undo:
        spool = _Spool(place, undo)
        try:
            members = read_members(decompress(stream, limits.expanded), limits, spool.take)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                error.filename = place
            raise
        undo.pop_all()
        return Members(members, spool.descriptors)


class _Spool:
    def __init__(self, directory: str, undo: ExitStack) -> None:
        self.descriptors: list[int] = []
        self._directory = directory
        self._undo = undo
        self._shared = self._new_file()
        self._end = 0

    def take(self, entry: Entry, reader: Reader) -> Piece:
        """Write a member's content to a file of its own, or behind that of others."""
        if entry.size >= _LARGE and len(self.descriptors) < _MOST_FILES:
            piece = Piece(self._new_file(), 0, entry.size)
        else:
            piece = Piece(self._shared, self._end, entry.size)
            self._end += entry.size
        with open(piece.descriptor, "wb", closefd=False) as file:
            file.seek(piece.offset)
            file.writelines(data for _, data in reader.chunks())
        return piece

    def _new_file(self) -> int:
        descriptor = _unnamed_file(self._directory)
        self._undo.callback(os.close, descriptor)
        self.descriptors.append(descriptor)
        return descriptor


def _unnamed_file(directory: str) -> int:
    try:
        return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
    with tempfile.TemporaryFile(dir=directory) as file:
        return os.dup(file.fileno())
