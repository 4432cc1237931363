"""Tar archives built byte by byte, for tests that need what no tar program would write.

Every function returns bytes that can be put one after another; ``archive`` joins members and adds the end.
Where a number is asked for, bytes may be given instead and stand in the field as they are. Names longer than
their field get a PAX record.
"""

from collections.abc import Iterable, Mapping
from typing import TypedDict, Unpack

BLOCK = 512
USTAR = b"ustar\x0000"
GNU = b"ustar  \0"
V7 = bytes(8)

Number = int | bytes
Text = str | bytes
Records = Mapping[str, Text] | Iterable[tuple[Text, Text]]


class Attributes(TypedDict, total=False):
    """What any member may have beside its name."""

    mode: Number
    uid: Number
    gid: Number
    mtime: Number
    magic: bytes
    pax: Records
    xattrs: Mapping[bytes, bytes]


def octal(value: int, width: int) -> bytes:
    """Return a number as octal digits and a NUL, or in base-256 where they don't suffice."""
    digits = b"%0*o" % (width - 1, value) if value >= 0 else b""
    return digits + b"\0" if 0 < len(digits) < width else base256(value, width)


def base256(value: int, width: int) -> bytes:
    """Return a number as GNU tar writes what octal can't hold; negative numbers in two's complement."""
    if value < 0:
        return value.to_bytes(width, "big", signed=True)
    return (value | 1 << (8 * width - 1)).to_bytes(width, "big")


def _field(value: Number, width: int) -> bytes:
    return octal(value, width) if isinstance(value, int) else value.ljust(width, b"\0")


def checksummed(block: bytes) -> bytes:
    """Return a header block with the checksum over it put in."""
    blank = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(blank) + block[156:]


def raw_header(
    name: bytes,
    typeflag: bytes = b"0",
    *,
    size: Number = 0,
    mode: Number = 0o644,
    uid: Number = 0,
    gid: Number = 0,
    mtime: Number = 0,
    linkname: bytes = b"",
    magic: bytes = USTAR,
    devmajor: Number = 0,
    devminor: Number = 0,
    prefix: bytes = b"",
    checksum: bytes | None = None,
) -> bytes:
    """Return one 512-byte header; ``prefix`` is everything from byte 345 on."""
    device = bytes(16) if magic == V7 else _field(devmajor, 8) + _field(devminor, 8)
    block = b"".join(
        (
            name[:100].ljust(100, b"\0"),
            _field(mode, 8),
            _field(uid, 8),
            _field(gid, 8),
            _field(size, 12),
            _field(mtime, 12),
            bytes(8),
            typeflag,
            linkname[:100].ljust(100, b"\0"),
            magic,
            bytes(64),
            device,
            prefix[:167].ljust(167, b"\0"),
        )
    )
    if checksum is None:
        return checksummed(block)
    return block[:148] + checksum.ljust(8, b"\0") + block[156:]


def padded(content: bytes) -> bytes:
    """Return content filled with zeros to whole blocks."""
    return content + bytes(-len(content) % BLOCK)


def record(key: Text, value: Text) -> bytes:
    """Return one PAX record with its own length before it."""
    body = b" %b=%b\n" % (_bytes(key), _bytes(value))
    length = len(body) + 1
    while len(b"%d" % length) + len(body) != length:
        length += 1
    return b"%d%b" % (length, body)


def _bytes(text: Text) -> bytes:
    return text.encode() if isinstance(text, str) else text


def pax_header(records: Records, typeflag: bytes = b"x") -> bytes:
    """Return an extended header with these records; a list of pairs may hold a keyword twice."""
    pairs: Iterable[tuple[Text, Text]] = records.items() if isinstance(records, Mapping) else records
    return extension(b"".join(record(key, value) for key, value in pairs), typeflag)


def extension(payload: bytes, typeflag: bytes = b"x") -> bytes:
    """Return a header of type ``x``, ``g``, ``L`` or ``K`` with any payload."""
    name = b"././@LongLink" if typeflag in {b"L", b"K"} else b"PaxHeaders/x"
    return raw_header(name, typeflag, size=len(payload)) + padded(payload)


def member(
    name: bytes,
    typeflag: bytes,
    content: bytes = b"",
    *,
    linkname: bytes = b"",
    devmajor: Number = 0,
    devminor: Number = 0,
    **attributes: Unpack[Attributes],
) -> bytes:
    """Return a whole member of any type: extended header where needed, header, content, padding."""
    records: list[tuple[Text, Text]] = []
    if len(name) > 100:
        records.append(("path", name))
    if len(linkname) > 100:
        records.append(("linkpath", linkname))
    pax = attributes.get("pax", ())
    records += pax.items() if isinstance(pax, Mapping) else pax
    records += [(b"SCHILY.xattr." + key, value) for key, value in attributes.get("xattrs", {}).items()]
    header = raw_header(
        name,
        typeflag,
        size=len(content),
        linkname=linkname,
        devmajor=devmajor,
        devminor=devminor,
        mode=attributes.get("mode", 0o755 if typeflag == b"5" else 0o644),
        uid=attributes.get("uid", 0),
        gid=attributes.get("gid", 0),
        mtime=attributes.get("mtime", 0),
        magic=attributes.get("magic", USTAR),
    )
    return (pax_header(records) if records else b"") + header + padded(content)


def file(name: bytes, content: bytes = b"", **attributes: Unpack[Attributes]) -> bytes:
    """Return a regular file."""
    return member(name, b"0", content, **attributes)


def directory(name: bytes, **attributes: Unpack[Attributes]) -> bytes:
    """Return a directory; the name is taken as it is, with or without a slash at its end."""
    return member(name, b"5", **attributes)


def symlink(name: bytes, target: bytes, **attributes: Unpack[Attributes]) -> bytes:
    """Return a symbolic link."""
    return member(name, b"2", linkname=target, **attributes)


def hardlink(name: bytes, target: bytes, **attributes: Unpack[Attributes]) -> bytes:
    """Return a hard link."""
    return member(name, b"1", linkname=target, **attributes)


def char(name: bytes, major: Number, minor: Number, **attributes: Unpack[Attributes]) -> bytes:
    """Return a character device."""
    return member(name, b"3", devmajor=major, devminor=minor, **attributes)


def block(name: bytes, major: Number, minor: Number, **attributes: Unpack[Attributes]) -> bytes:
    """Return a block device."""
    return member(name, b"4", devmajor=major, devminor=minor, **attributes)


def fifo(name: bytes, **attributes: Unpack[Attributes]) -> bytes:
    """Return a fifo."""
    return member(name, b"6", **attributes)


def whiteout(path: bytes, **attributes: Unpack[Attributes]) -> bytes:
    """Return the whiteout of a path, as the OCI image-spec writes it: ``dir/.wh.name``."""
    parent, slash, name = path.rpartition(b"/")
    return file(parent + slash + b".wh." + name, **attributes)


def opaque(path: bytes = b"", **attributes: Unpack[Attributes]) -> bytes:
    """Return the marker that makes a directory opaque; an empty path is the root of the layer."""
    return file(path + (b"/" if path else b"") + b".wh..wh..opq", **attributes)


def gnu_sparse(
    name: bytes,
    extents: Iterable[tuple[int, bytes]],
    size: Number,
    *,
    blocks: int | None = None,
    **attributes: Unpack[Attributes],
) -> bytes:
    """Return an old GNU sparse file of (offset, data) extents; ``blocks`` forces extension blocks."""
    parts = list(extents)
    table = [octal(offset, 12) + octal(len(part), 12) for offset, part in parts]
    count = -(-max(0, len(table) - 4) // 21) if blocks is None else blocks
    # Bytes 345 on: atime, ctime, offset, longnames and one unused byte come before the map at 386.
    prefix = bytes(41) + b"".join(table[:4]).ljust(96, b"\0") + (b"\1" if count else b"\0") + _field(size, 12)
    content = b"".join(part for _, part in parts)
    header = raw_header(
        name,
        b"S",
        size=len(content),
        magic=attributes.get("magic", GNU),
        prefix=prefix,
        mode=attributes.get("mode", 0o644),
        uid=attributes.get("uid", 0),
        gid=attributes.get("gid", 0),
        mtime=attributes.get("mtime", 0),
    )
    following = [
        (b"".join(table[4 + 21 * n : 25 + 21 * n]).ljust(504, b"\0") + (b"\1" if n + 1 < count else b"\0")).ljust(
            BLOCK, b"\0"
        )
        for n in range(count)
    ]
    return header + b"".join(following) + padded(content)


def pax_sparse(
    name: bytes,
    extents: Iterable[tuple[int, bytes]],
    size: int,
    version: str = "1.0",
    **attributes: Unpack[Attributes],
) -> bytes:
    """Return a sparse file of (offset, data) extents in PAX format 0.0, 0.1 or 1.0."""
    parts = list(extents)
    numbers = [number for offset, part in parts for number in (offset, len(part))]
    content = b"".join(part for _, part in parts)
    pax = attributes.pop("pax", ())
    records: list[tuple[Text, Text]] = list(pax.items() if isinstance(pax, Mapping) else pax)
    stored = name
    if version == "1.0":
        records += [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")]
        records += [("GNU.sparse.name", name), ("GNU.sparse.realsize", str(size))]
        content = padded(b"".join(b"%d\n" % number for number in (len(parts), *numbers))) + content
        stored = b"GNUSparseFile.0/" + name
    else:
        records += [("GNU.sparse.size", str(size)), ("GNU.sparse.numblocks", str(len(parts)))]
        if version == "0.1":
            records += [("GNU.sparse.name", name), ("GNU.sparse.map", ",".join(map(str, numbers)))]
            stored = b"GNUSparseFile.0/" + name
        else:
            for offset, part in parts:
                records += [("GNU.sparse.offset", str(offset)), ("GNU.sparse.numbytes", str(len(part)))]
    attributes["pax"] = records
    return member(stored, b"0", content, **attributes)


def archive(*members: bytes, end: bool = True) -> bytes:
    """Return an archive of these members; ``end`` adds the two blocks of zeros."""
    return b"".join(members) + (bytes(2 * BLOCK) if end else b"")
