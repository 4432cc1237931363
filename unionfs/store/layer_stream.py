"""From a layer's blob to its tar stream, verified on both sides of the decompression.

``close`` closes the blob; that all digests are right is known after ``verify`` alone.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

from unionfs.archive import Layer, ReadAhead, VerifyingReader, decompress
from unionfs.tar.source import CHUNK, Stream

Report = Callable[[int, int], None]
"""Told, about once for each MiB, the bytes of a blob that were read, and all that there are; from any thread."""


class _Metered:
    """A stream of *size* bytes that reports how much of it was read."""

    def __init__(self, stream: Stream, size: int, report: Report) -> None:
        self._stream = stream
        self._size = size
        self._report = report
        self._done = 0
        self._reported = 0

    def read(self, size: int, /) -> bytes:
        """Read from the stream."""
        piece = self._stream.read(size)
        self._done += len(piece)
        if self._done - self._reported >= CHUNK or self._reported < self._done == self._size:
            self._reported = self._done
            self._report(self._done, self._size)
        return piece


class LayerStream:
    """The tar stream of one layer; a context manager. The blob is read and decompressed in a thread of its own.

    Reading it raises ArchiveError for a blob that is damaged, isn't the one of its descriptor, or is larger than
    *limit* bytes when decompressed.
    """

    def __init__(self, layer: Layer, limit: int, report: Report) -> None:
        with ExitStack() as opened:
            window = opened.enter_context(layer.open())
            blob: Stream = _Metered(window, window.size, report)
            self._verified_blob: VerifyingReader | None = None
            size = None
            if layer.descriptor is not None and layer.descriptor.digest == layer.diff_id:
                # The blob is the content, so one digest will do; of a compressed blob it could only be wrong.
                size = layer.descriptor.size
            elif layer.descriptor is not None:
                digest = layer.descriptor.digest
                blob = self._verified_blob = VerifyingReader(blob, digest, layer.descriptor.size, "its blob")
            # The content is hashed by whoever reads it: decompressing takes longer than writing and this together.
            content = opened.enter_context(ReadAhead(decompress(blob, limit)))
            self._tar = VerifyingReader(content, layer.diff_id, size, "its content")
            self._opened = opened.pop_all()

    def read(self, size: int, /) -> bytes:
        """Read from the uncompressed stream."""
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
        self._opened.close()
