"""The 512-byte header block: v7, POSIX ustar and GNU layouts read, POSIX ustar written, numbers and checksum.

Sources: POSIX.1 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
"""

import struct
from functools import lru_cache
from typing import NamedTuple
from zlib import adler32

from unionfs.tar.errors import TarError

BLOCK = 512
ZEROS = bytes(BLOCK)
GNU_MAGIC = b"ustar  \0"
USTAR_MAGIC = b"ustar\x0000"
HIGHEST_ID = 4294967294
"""The highest uid and gid: 4294967295 is -1, which chown takes as "leave as it is"."""

_LAYOUT = struct.Struct("100s8s8s8s12s12s8sc100s8s64x8s8s155s8x4s")


class Header(NamedTuple):
    """The fields of a header block as raw bytes, but for user and group names, which are never used."""

    name: bytes
    mode: bytes
    uid: bytes
    gid: bytes
    size: bytes
    mtime: bytes
    checksum: bytes
    typeflag: bytes
    linkname: bytes
    magic: bytes
    devmajor: bytes
    devminor: bytes
    prefix: bytes
    trailer: bytes


def parse(block: bytes) -> Header:
    """Split a block into fields after its checksum was verified; raise TarError if that is wrong."""
    header = Header._make(_LAYOUT.unpack(block))
    # Half a block sums to at most 65280, below adler32's modulus, so the low word is the exact sum of its
    # bytes plus one: the same as sum(), twenty times as fast.
    total = (adler32(block[:256]) & 0xFFFF) + (adler32(block[256:]) & 0xFFFF) + 254 - sum(header.checksum)
    stored = number(header.checksum, "checksum")
    if stored != total and stored != _signed_sum(block):
        raise TarError("the header's checksum is wrong")
    return header


def packed(header: Header) -> bytes:
    """Return the block of a header, with the checksum over it in place of the header's own."""
    block = _LAYOUT.pack(*header._replace(checksum=b" " * 8))
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def octal(value: int, width: int) -> bytes | None:
    """Return a numeric field of ``width`` bytes, None if the digits don't suffice or the number is negative."""
    digits = b"%0*o" % (width - 1, value) if value >= 0 else b""
    return digits + b"\0" if len(digits) == width - 1 else None


def _signed_sum(block: bytes) -> int:
    """Return the sum as old tars wrote it, on machines where a char has a sign."""
    rest = block[:148] + b" " * 8 + block[156:]
    return sum(rest) - 256 * sum(byte > 127 for byte in rest)


def number(field: bytes, what: str) -> int:
    """Return the value of a numeric field: octal digits, or GNU base-256 with a sign; blank is 0."""
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        if field[0] >= 0x80:
            return _base256(field)
        digits = digits.partition(b"\0")[0].rstrip(b" ")
        if digits.strip(b"01234567"):
            raise TarError(f"its {what} is not an octal number")
    return int(digits, 8) if digits else 0


def _base256(field: bytes) -> int:
    """Return two's complement without the topmost bit, which only marks the encoding."""
    sign = 1 << (8 * len(field) - 2)
    return (int.from_bytes(field, "big") & (2 * sign - 1) ^ sign) - sign


@lru_cache(4096)
def identity(field: bytes, what: str) -> int:
    """Return a uid or gid from a header field; raise TarError beyond 0 to 4294967294."""
    return checked_identity(number(field, what), what)


def checked_identity(value: int, what: str) -> int:
    """Return a uid or gid unchanged; raise TarError beyond 0 to 4294967294, where it would wrap around."""
    if not 0 <= value <= HIGHEST_ID:
        raise TarError(f"its {what} {value} is outside 0 to {HIGHEST_ID}")
    return value


def file_size(value: int) -> int:
    """Return a size unchanged; raise TarError if it is negative."""
    if value < 0:
        raise TarError("its size is negative")
    return value


@lru_cache(4096)
def permissions(field: bytes) -> int:
    """Return the permission bits of the mode field; some tars leave file type bits above them."""
    value = number(field, "mode")
    if value < 0:
        raise TarError("its mode is negative")
    return value & 0o7777


def device(field: bytes, what: str, highest: int) -> int:
    """Return a device number's half; raise TarError beyond what Linux's 12 and 20 bits hold."""
    value = number(field, what)
    if not 0 <= value <= highest:
        raise TarError(f"its {what} {value} is outside 0 to {highest}")
    return value


def path(header: Header) -> bytes:
    """Return the name with the ustar prefix before it."""
    name = header.name.partition(b"\0")[0]
    # GNU tar keeps other things in the place of the prefix, and v7 nothing at all. The magic alone decides:
    # base-256 numbers in a ustar header don't make it a GNU one.
    if header.prefix[0] and header.magic.startswith(b"ustar\0"):
        # star keeps access and change time in the last 24 bytes of the prefix.
        prefix = header.prefix[:131] if header.trailer == b"tar\0" else header.prefix
        return prefix.partition(b"\0")[0] + b"/" + name
    return name
