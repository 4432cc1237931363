"""From a layer's blob to its tar stream, verified on both sides of the decompression.

``close`` closes the blob; that all digests are right is known after ``verify`` alone.
"""

import threading
from collections.abc import Callable
from typing import Self

from unionfs.archive import Layer, VerifyingReader, decompress
from unionfs.tar.source import Stream

Report = Callable[[int, int], None]
"""Told the bytes of a blob that were read, and all that there are."""


class CancelledError(Exception):
    """Another layer failed, so this one isn't needed any more."""


class _Metered:
    """A stream that reports how much of it was read."""

    def __init__(self, stream: Stream, report: Callable[[int], None]) -> None:
        self._stream = stream
        self._report = report
        self._done = 0

    def read(self, size: int, /) -> bytes:
        """Read from the stream."""
        piece = self._stream.read(size)
        self._done += len(piece)
        self._report(self._done)
        return piece


class LayerStream:
    """The tar stream of one layer; a context manager.

    Reading it raises ArchiveError for a blob that is damaged, isn't the one of its descriptor, or is larger than
    *limit* bytes when decompressed, and CancelledError after *cancelled* was set.
    """

    def __init__(self, layer: Layer, limit: int, report: Report, cancelled: threading.Event) -> None:
        self._blob = layer.open()
        size = self._blob.size
        blob: Stream = _Metered(self._blob, lambda done: report(done, size))
        self._verified_blob: VerifyingReader | None = None
        if layer.descriptor is not None:
            descriptor = layer.descriptor
            blob = self._verified_blob = VerifyingReader(blob, descriptor.digest, descriptor.size, "its blob")
        self._cancelled = cancelled
        self._tar = VerifyingReader(decompress(blob, limit), layer.diff_id, None, "its content")

    def read(self, size: int, /) -> bytes:
        """Read from the uncompressed stream."""
        # Not where the blob is read: a few bytes of it can be gigabytes here.
        if self._cancelled.is_set():
            raise CancelledError
        return self._tar.read(size)

    def verify(self) -> None:
        """Read what is left, and check that the whole was what it should be.

        Raises:
            ArchiveError: a digest or size is wrong.
        """
        self._tar.verify()
        if self._verified_blob is not None:
            self._verified_blob.verify()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._blob.close()
