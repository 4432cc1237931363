"""Decompression of archives and layers: gzip, bzip2, xz and zstd, told by their first bytes, within the process.

A compressed stream is right to its last byte or an error: every member or frame complete, every checksum
good, nothing after the last one. It knows no tar, and no digest.
"""

import bz2
import io
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import zstandard

from unionfs.archive import gzip_member, zstd_frames
from unionfs.archive.error import ArchiveError
from unionfs.archive.gzip_member import ISAL_ERROR, GzipMember
from unionfs.archive.stream import ByteStream

if TYPE_CHECKING:
    from unionfs.tar.source import Stream

_MAX_WINDOW = 128 << 20
"""Bytes of window that a zstd stream may ask for; the zstd program's own bound is the same."""

_MAX_XZ_MEMORY = 160 << 20
"""Bytes of memory for xz, enough for a dictionary of 128 MiB."""

_READ = 128 << 10
_FIRST_STEP = 4 << 10
"""Bytes given to a new member's decoder. What it leaves is copied, so a file of tiny members wants small steps."""

_BZIP2_BLOCKS = (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90")
_SNIFFED = 10
"""Bytes that tell the format; bzip2's short magic could be the name of a plain tar's first member."""


class _Decoder(Protocol):
    """The interface that the decoders of bz2, lzma and isal share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: memoryview, max_length: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Format:
    """A format made of members one after another, as gzip, bzip2 and xz are."""

    name: str
    decoder: Callable[[], _Decoder]
    errors: tuple[type[Exception], ...]
    padding: int
    """Zero bytes may follow a member in multiples of this; 0 if none may."""


_GZIP = _Format("gzip", GzipMember, (ISAL_ERROR,), 0)
_BZIP2 = _Format("bzip2", bz2.BZ2Decompressor, (OSError, ValueError), 0)
_XZ = _Format("xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_XZ_MEMORY), (lzma.LZMAError,), 4)


def decompress(stream: "Stream", limit: int | None = None) -> ByteStream:
    """Return the content of a possibly compressed stream, as it is if its first bytes tell no known format.

    Reading it raises ArchiveError for a stream that is damaged, cut off or followed by anything, or that
    gives more than ``limit`` bytes. It leaves ``stream`` open, and read to its end where the content was.
    """
    start = _read_start(stream)
    whole = _Rejoined(start, stream)
    decoding = _decoding(start)
    content = whole if decoding is None else decoding(whole)
    return content if limit is None else _Bounded(content, limit)


def is_compressed(stream: "Stream") -> bool:
    """Return whether ``decompress`` knows the format of a stream, whose first bytes it reads."""
    return _decoding(_read_start(stream)) is not None


def _decoding(start: bytes) -> Callable[[ByteStream], ByteStream] | None:
    """Return what decodes a stream with these first bytes, or None for an unknown format."""
    if start.startswith(gzip_member.MAGIC):
        return partial(_Members, form=_GZIP)
    if start.startswith(b"BZh") and start[4:] in _BZIP2_BLOCKS:
        return partial(_Members, form=_BZIP2)
    if start.startswith(b"\xfd7zXZ\x00"):
        return partial(_Members, form=_XZ)
    return _Zstd if zstd_frames.is_frame(start) else None


def _read_start(stream: "Stream") -> bytes:
    start = b""
    while len(start) < _SNIFFED and (piece := stream.read(_SNIFFED - len(start))):
        start += piece
    return start


class _Rejoined(ByteStream):
    """A stream with the bytes that were read from it put back."""

    def __init__(self, start: bytes, stream: "Stream") -> None:
        self._start = start
        self._stream = stream

    def _some(self, size: int) -> bytes:
        if not self._start:
            return self._stream.read(size)
        piece, self._start = self._start[:size], self._start[size:]
        return piece


class _Bounded(ByteStream):
    """A stream that may give ``limit`` bytes and no more."""

    def __init__(self, stream: ByteStream, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._left = limit

    def _some(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise ArchiveError(f"its content is over the limit of {self._limit} bytes (expanded)", "expanded")
        return piece


class _Members(ByteStream):
    """The content of all members of a gzip, bzip2 or xz stream."""

    def __init__(self, stream: ByteStream, form: _Format) -> None:
        self._stream = stream
        self._format = form
        self._buffer = b""
        self._position = 0
        self._step = _FIRST_STEP
        self._decoder: _Decoder | None = form.decoder()

    def _some(self, size: int) -> bytes:
        while decoder := self._decoder or self._next_member():
            if piece := self._decode(decoder, size):
                return piece
        return b""

    def _decode(self, decoder: _Decoder, size: int) -> bytes:
        """Return what the member gives for its next bytes, possibly nothing."""
        given = memoryview(b"")
        if decoder.needs_input:
            if not self._fill():
                raise ArchiveError(f"{self._format.name}: the stream is cut off")
            given = memoryview(self._buffer)[self._position : self._position + self._step]
            self._position += len(given)
            self._step = min(2 * self._step, _READ)
        try:
            piece = decoder.decompress(given, size)
        except self._format.errors as error:
            raise ArchiveError(f"{self._format.name}: {error}") from None
        if decoder.eof:
            # What is left over is the tail of the bytes given last, which the buffer still holds.
            self._position -= len(decoder.unused_data)
            self._decoder = None
        return piece

    def _next_member(self) -> _Decoder | None:
        """Begin the next member, or return None where the stream rightly ends."""
        zeros = 0
        while self._fill():
            if self._format.padding and not self._buffer[self._position]:
                rest = self._buffer[self._position :]
                zeros += len(rest) - len(rest.lstrip(b"\0"))
                self._position = len(self._buffer) - len(rest.lstrip(b"\0"))
                continue
            self._check_padding(zeros)
            self._step = _FIRST_STEP
            self._decoder = self._format.decoder()
            return self._decoder
        self._check_padding(zeros)
        return None

    def _check_padding(self, zeros: int) -> None:
        if self._format.padding and zeros % self._format.padding:
            raise ArchiveError(f"{self._format.name}: {zeros} bytes of padding follow a stream")

    def _fill(self) -> bool:
        """Have at least one byte in the buffer; return False at the stream's end."""
        if self._position == len(self._buffer):
            self._buffer = self._stream.read(_READ)
            self._position = 0
        return bool(self._buffer)


class _Frames(ByteStream):
    """A zstd stream on its way to the decoder, which must end where a frame does."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._walk = zstd_frames.FrameWalk()

    def _some(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self._walk.feed(piece)
        if not piece and not self._walk.complete:
            raise ArchiveError("zstd: the stream is cut off")
        return piece


class _Zstd(ByteStream):
    """The content of all frames of a zstd stream."""

    def __init__(self, stream: ByteStream) -> None:
        decoder = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        frames = io.BufferedReader(_Frames(stream), _READ)
        self._reader = decoder.stream_reader(frames, read_size=_READ, read_across_frames=True)

    def _some(self, size: int) -> bytes:
        try:
            return self._reader.read(size)
        except zstandard.ZstdError as error:
            raise ArchiveError(f"zstd: {error}") from None
