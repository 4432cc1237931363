"""One member of a gzip stream (RFC 1952): its header read here, the rest by isal.

isal misreads a header with several optional fields that comes in pieces, and then fails on what follows.
"""

import zlib
from typing import cast

from isal import igzip_lib

from unionfs.archive.error import ArchiveError

MAGIC = b"\x1f\x8b\x08"
"""The two bytes of gzip and the one compression method there is."""

# The stub of isal gives the exception's class as if it were one of its instances.
ISAL_ERROR = cast(type[Exception], igzip_lib.IsalError)

_MAX_HEADER = 256 << 10
"""Bytes of a header, of which 64 KiB may be the extra field; a name or comment this long has no use."""

_FIXED = 10
_HEADER_CRC, _EXTRA, _NAME, _COMMENT, _RESERVED = 0x02, 0x04, 0x08, 0x10, 0xE0


class GzipMember:
    """A decoder with the interface of ``bz2.BZ2Decompressor``; raises ArchiveError, or ISAL_ERROR past the header."""

    def __init__(self) -> None:
        self._header = b""
        self._body: igzip_lib.IgzipDecompressor | None = None

    @property
    def eof(self) -> bool:
        """Whether the member has ended, with checksum and size found right."""
        return self._body is not None and self._body.eof

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out before more is put in."""
        return self._body is None or self._body.needs_input

    @property
    def unused_data(self) -> bytes:
        """What was put in beyond the member's end."""
        return b"" if self._body is None else self._body.unused_data

    def decompress(self, data: memoryview, max_length: int) -> bytes:
        """Take in ``data``; return up to ``max_length`` bytes."""
        if self._body is not None:
            return self._body.decompress(data, max_length)
        self._header += data
        length = _header_length(self._header)
        if length is None:
            if len(self._header) > _MAX_HEADER:
                raise ArchiveError(f"gzip: a header is longer than {_MAX_HEADER} bytes")
            return b""
        body, self._header = self._header[length:], b""
        self._body = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP_NO_HDR_VER)
        return self._body.decompress(body, max_length)


def _header_length(start: bytes) -> int | None:
    """Return the length of the header that ``start`` begins with, None if there is more of it to come."""
    if not start.startswith(MAGIC[: len(start)]):
        raise ArchiveError("gzip: something that is no member follows a member")
    if len(start) < _FIXED:
        return None
    flags = start[3]
    if flags & _RESERVED:
        raise ArchiveError("gzip: a header has reserved flags")
    end = _FIXED
    if flags & _EXTRA:
        end += 2 + int.from_bytes(start[end : end + 2], "little")
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            end = start.find(b"\0", end) + 1
            if not end:
                return None
    if flags & _HEADER_CRC:
        end += 2
        if end <= len(start) and zlib.crc32(start[: end - 2]) & 0xFFFF != int.from_bytes(
            start[end - 2 : end], "little"
        ):
            raise ArchiveError("gzip: a header's checksum is wrong")
    return end if end <= len(start) else None
