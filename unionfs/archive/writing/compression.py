"""Compression of a whole archive while it is written; the same bytes for the same archive."""

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import zstandard
from isal import isal_zlib

from unionfs.tar.writer import Sink

_GZIP_WINDOW = 15 + 16
"""The largest window, in a gzip stream instead of a zlib one; its header holds neither time nor name."""
_GZIP_LEVEL = 2
_ZSTD_LEVEL = 3


class Compression(enum.Enum):
    """How an archive is compressed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _Compressed:
    def __init__(self, sink: Sink, compressor: _Compressor) -> None:
        self._sink = sink
        self._compressor = compressor

    def write(self, piece: bytes, /) -> None:
        if out := self._compressor.compress(piece):
            self._sink.write(out)

    def finish(self) -> None:
        self._sink.write(self._compressor.flush())


@contextmanager
def compressing(sink: Sink, compression: Compression) -> Iterator[Sink]:
    """Give a sink whose bytes get to ``sink`` compressed; after an error the stream is left without an end."""
    if compression is Compression.NONE:
        yield sink
        return
    compressed = _Compressed(sink, _compressor(compression))
    yield compressed
    compressed.finish()


def _compressor(compression: Compression) -> _Compressor:
    if compression is Compression.GZIP:
        return isal_zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WINDOW)
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compressobj()
