"""A stream that is checked against a digest and a size while it is read."""

from typing import TYPE_CHECKING

from unionfs.archive.error import ArchiveError
from unionfs.archive.stream import CHUNK, ByteStream

if TYPE_CHECKING:
    from unionfs.image import Digest
    from unionfs.tar.source import Stream


class VerifyingReader(ByteStream):
    """Passes a stream through and raises ArchiveError as soon as it can't have the digest and size it should.

    With ``size``, in bytes, the last piece is handed out only after the digest has been found right and the
    stream has ended; without it a wrong digest shows where the stream ends. ``what`` names the content in
    errors.
    """

    def __init__(self, stream: "Stream", digest: "Digest", size: int | None, what: str) -> None:
        self.count = 0
        """Bytes read so far."""
        self._stream = stream
        self._digest = digest
        self._size = size
        self._what = what
        self._hash = digest.hasher()
        self._verified = False

    def verify(self) -> None:
        """Read what is left and raise ArchiveError unless size and digest are right."""
        while self.read(CHUNK):
            pass

    def _some(self, size: int) -> bytes:
        if self._verified:
            return b""
        piece = self._stream.read(size)
        self.count += len(piece)
        self._hash.update(piece)
        if self._size is not None and self.count > self._size:
            raise ArchiveError(f"{self._what} is longer than the {self._size} bytes of its descriptor")
        if not piece or self.count == self._size:
            self._finish()
        return piece

    def _finish(self) -> None:
        """Check the whole; the size comes first, as the image-spec advises."""
        if self._size is not None and self.count < self._size:
            raise ArchiveError(f"{self._what} has {self.count} bytes, but its descriptor says {self._size}")
        if self._size is not None and self._stream.read(1):
            raise ArchiveError(f"{self._what} is longer than the {self._size} bytes of its descriptor")
        found = self._hash.hexdigest()
        if found != self._digest.hex:
            algorithm = self._digest.algorithm
            raise ArchiveError(
                f"{self._what} does not match its digest: expected {self._digest}, got {algorithm}:{found}"
            )
        self._verified = True
