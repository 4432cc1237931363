"""PAX extended headers: the records, and what they say about an entry.

Sources: POSIX.1 pax, "pax Extended Header"; for extended attributes the keywords of star (``SCHILY.*``) and
libarchive (``LIBARCHIVE.*``). Sparse files are not read here.
"""

import re
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from unionfs.tar.errors import TarError, printable
from unionfs.tar.header import checked_identity

_TIME = re.compile(rb"(-?)([0-9]{1,20})(?:\.([0-9]*))?")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_SCHILY = b"SCHILY.xattr."
_LIBARCHIVE = b"LIBARCHIVE.xattr."


def records(payload: bytes) -> list[tuple[bytes, bytes]]:
    """Return the keywords and values in order; raise TarError unless the records fill the payload exactly."""
    found = []
    position, end = 0, len(payload)
    while position < end:
        space = payload.find(b" ", position, position + 20)
        if space < 0 or not payload[position:space].isdigit():
            raise TarError("a PAX record has no length")
        stop = position + int(payload[position:space])
        if not space + 1 < stop <= end or payload[stop - 1] != 0x0A:
            raise TarError("a PAX record's length is wrong")
        key, equals, value = payload[space + 1 : stop - 1].partition(b"=")
        if not key or not equals or b"\0" in key:
            raise TarError("a PAX record has no keyword")
        found.append((key, value))
        position = stop
    return found


def encoded(values: Mapping[bytes, bytes]) -> bytes:
    """Return the payload with these keywords and values, in the order of the keywords."""
    return b"".join(_record(key, value) for key, value in sorted(values.items()))


def _record(key: bytes, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3
    # The length counts its own digits, of which there may be one more than without them.
    length = rest + len(b"%d" % rest)
    length = rest + len(b"%d" % length)
    return b"%d %s=%s\n" % (length, key, value)


def seconds(count: int) -> bytes:
    """Return nanoseconds as decimal seconds, exactly."""
    whole, fraction = divmod(abs(count), 1_000_000_000)
    digits = b"%d.%09d" % (whole, fraction)
    return (b"-" if count < 0 else b"") + digits.rstrip(b"0").rstrip(b".")


def xattr(attribute: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Return keyword and value for an extended attribute; raise TarError if its name is empty or holds a NUL."""
    key = _xattr_name(attribute)
    if b"=" not in key:
        return _SCHILY + key, value
    # A keyword ends at the first equals sign; libarchive's form escapes it, star's has no way to.
    return _LIBARCHIVE + key.replace(b"%", b"%25").replace(b"=", b"%3D"), b2a_base64(value, newline=False).rstrip(b"=")


def name(value: bytes, what: str) -> bytes:
    """Return a name unchanged; raise TarError if it holds a NUL, where some readers would cut it."""
    if b"\0" in value:
        raise TarError(f"a PAX {what} holds a NUL")
    return value


def decimal(value: bytes, what: str) -> int:
    """Return a number of at most 20 decimal digits, with a sign or without."""
    digits = value[1:] if value.startswith(b"-") else value
    if not digits.isdigit() or len(digits) > 20:
        raise TarError(f"the PAX {what} {printable(value)} is not a number")
    return int(value)


def nanoseconds(value: bytes, what: str) -> int:
    """Return decimal seconds as whole nanoseconds; what is finer is rounded down, as the kernel does."""
    match = _TIME.fullmatch(value)
    if match is None:
        raise TarError(f"the PAX {what} {printable(value)} is not a time")
    fraction = match[3] or b""
    count = int(match[2]) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0"))
    if match[1]:
        count = -count - bool(fraction[9:].strip(b"0"))
    return checked_time(count, what)


def checked_time(count: int, what: str) -> int:
    """Return nanoseconds unchanged; raise TarError if their seconds don't fit a 64-bit time_t."""
    if not -(1 << 63) <= count // 1_000_000_000 < 1 << 63:
        raise TarError(f"its {what} is out of range")
    return count


def _identity(value: bytes, what: str) -> int:
    return checked_identity(decimal(value, what), what)


_FIELDS: Mapping[bytes, tuple[str, Callable[[bytes], object]]] = {
    b"path": ("name", partial(name, what="path")),
    b"linkpath": ("linkname", partial(name, what="linkpath")),
    b"uid": ("uid", partial(_identity, what="uid")),
    b"gid": ("gid", partial(_identity, what="gid")),
    b"mtime": ("mtime_ns", partial(nanoseconds, what="mtime")),
    b"atime": ("atime_ns", partial(nanoseconds, what="atime")),
}


def overrides(values: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Return the fields of an ``Entry`` that PAX records replace.

    An empty value leaves what the header says, except that an extended attribute may be empty.
    """
    fields: dict[str, Any] = {}
    xattrs: dict[bytes, bytes] = {}
    for key, value in values.items():
        if key in _FIELDS:
            if value:
                field, read = _FIELDS[key]
                fields[field] = read(value)
        elif key.startswith(_SCHILY):
            xattrs[_xattr_name(key[len(_SCHILY) :])] = value
        elif key.startswith(_LIBARCHIVE):
            # libarchive writes both forms; the other one needs no decoding, so it wins.
            attribute = _xattr_name(_unescaped(key[len(_LIBARCHIVE) :]))
            if _SCHILY + attribute not in values:
                xattrs[attribute] = _base64(value, attribute)
    if xattrs:
        fields["xattrs"] = xattrs
    return fields


def _xattr_name(name: bytes) -> bytes:
    if not name or b"\0" in name:
        raise TarError("an extended attribute has no usable name")
    return name


def _unescaped(name: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode("ascii")), name)


def _base64(value: bytes, name: bytes) -> bytes:
    """Decode base64 as libarchive writes it: without the padding."""
    try:
        return a2b_base64(value.rstrip(b"=") + b"=" * (-len(value.rstrip(b"=")) % 4), strict_mode=True)
    except Error:
        raise TarError(f"the extended attribute {printable(name)} is not base64") from None
