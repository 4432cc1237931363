"""The writer: from entries and their content to the bytes of an archive, the same for the same entries.

Headers are POSIX ustar. PAX records stand only before an entry that ustar can't hold: a name that is long or
not ASCII, a large number, a time with a fraction or before 1970, extended attributes. Names that are no UTF-8
are written as they are, as GNU tar and Go do. Files are written with their holes filled.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from unionfs.tar import header as headers
from unionfs.tar import pax
from unionfs.tar.entry import Entry, Kind
from unionfs.tar.errors import TarError, printable
from unionfs.tar.header import BLOCK, ZEROS, Header
from unionfs.tar.source import CHUNK, Stream

_TYPEFLAGS = {
    Kind.FILE: b"0",
    Kind.HARDLINK: b"1",
    Kind.SYMLINK: b"2",
    Kind.CHAR: b"3",
    Kind.BLOCK: b"4",
    Kind.DIR: b"5",
    Kind.FIFO: b"6",
}
_EXTENSION_NAME = b"././@PaxHeader"
"""What a PAX header is called: always the same, since no reader uses it."""


class Sink(Protocol):
    """Anything whose ``write`` takes all the bytes it is given, as a buffered file does."""

    def write(self, piece: bytes, /) -> object:
        """Take ``piece``."""
        ...


class Writer:
    """Writes one archive, front to back. What ``sink`` or a content's ``read`` raises passes through.

    After an error the archive is not whole, and neither ``add`` nor ``finish`` may follow: they raise
    RuntimeError.
    """

    def __init__(self, sink: Sink) -> None:
        self._write = sink.write
        self._whole = True

    def add(self, entry: Entry, content: Stream | None = None) -> None:
        """Write an entry, a file with its content: ``entry.size`` bytes, as a read of the whole file gives them.

        A directory's name gets the slash at its end that tars write. Raises TarError if no archive can hold the
        entry, or if the content is shorter or longer than the entry says.
        """
        with self._adding():
            try:
                self._write(_header(entry))
                if content is not None or entry.size:
                    self._copy(entry, content)
            except TarError as error:
                error.args = (f"{printable(entry.name)}: {error}",)
                raise

    def finish(self) -> None:
        """Write the end of the archive: two blocks of zeros."""
        with self._adding():
            self._write(2 * ZEROS)

    @contextmanager
    def _adding(self) -> Iterator[None]:
        if not self._whole:
            raise RuntimeError("an error left the archive incomplete")
        self._whole = False
        yield
        self._whole = True

    def _copy(self, entry: Entry, content: Stream | None) -> None:
        """Write content and padding, and see that the content ends where it should."""
        left = entry.size
        while left:
            piece = b"" if content is None else content.read(min(left, CHUNK))
            if not piece:
                raise TarError(f"its content ends after {entry.size - left} of {entry.size} bytes")
            self._write(piece)
            left -= len(piece)
        if content is not None and content.read(1):
            raise TarError(f"its content is longer than its size of {entry.size} bytes")
        self._write(ZEROS[: -entry.size % BLOCK])


def _header(entry: Entry) -> bytes:
    """Return the header block of an entry, with a PAX header before it where there is need of one."""
    _check(entry)
    records = dict(pax.xattr(name, value) for name, value in entry.xattrs.items())
    if entry.atime_ns is not None:
        records[b"atime"] = pax.seconds(pax.checked_time(entry.atime_ns, "atime"))
    prefix, name = _split(_name(entry), records)
    header = Header(
        name=name,
        mode=_number(entry.mode & 0o7777, 8, "mode", records),
        uid=_number(headers.checked_identity(entry.uid, "uid"), 8, "uid", records),
        gid=_number(headers.checked_identity(entry.gid, "gid"), 8, "gid", records),
        size=_number(headers.file_size(entry.size), 12, "size", records),
        mtime=_mtime(entry.mtime_ns, records),
        checksum=b"",
        typeflag=_TYPEFLAGS[entry.kind],
        linkname=_linkname(entry.linkname, records),
        magic=headers.USTAR_MAGIC,
        devmajor=_device(entry.devmajor, "device major", 0xFFF),
        devminor=_device(entry.devminor, "device minor", 0xFFFFF),
        prefix=prefix,
        trailer=b"",
    )
    return _extension(records) + headers.packed(header)


def _check(entry: Entry) -> None:
    """Raise TarError for what a reader would take for something else."""
    if not entry.name:
        raise TarError("an entry has no name")
    if b"\0" in entry.name + entry.linkname:
        raise TarError("its name or target holds a NUL")
    if entry.kind is Kind.FILE and entry.name.endswith(b"/"):
        raise TarError("the name of a file ends in a slash, which makes it a directory's")
    if entry.kind is not Kind.FILE and entry.size:
        raise TarError(f"a {entry.kind.value} has no content")
    if bool(entry.linkname) != (entry.kind in (Kind.HARDLINK, Kind.SYMLINK)):
        raise TarError(f"a {entry.kind.value} has {'a' if entry.linkname else 'no'} target")


def _name(entry: Entry) -> bytes:
    return entry.name + b"/" if entry.kind is Kind.DIR and not entry.name.endswith(b"/") else entry.name


def _split(name: bytes, records: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return a name in the ustar fields of prefix and name, with a record if they can't hold it."""
    if not name.isascii():
        records[b"path"] = name
    elif len(name) > 100:
        # The slash in between is written in neither field, and neither may be empty.
        cut = name.rfind(b"/", 1, min(156, len(name) - 1))
        if cut > 0 and len(name) - cut - 1 <= 100:
            return name[:cut], name[cut + 1 :]
        records[b"path"] = name
    return b"", name[:100]


def _linkname(target: bytes, records: dict[bytes, bytes]) -> bytes:
    if len(target) > 100 or not target.isascii():
        records[b"linkpath"] = target
    return target[:100]


def _number(value: int, width: int, what: str, records: dict[bytes, bytes]) -> bytes:
    field = headers.octal(value, width)
    if field is None:
        records[what.encode()] = b"%d" % value
    return field or bytes(width)


def _mtime(count: int, records: dict[bytes, bytes]) -> bytes:
    whole, fraction = divmod(pax.checked_time(count, "mtime"), 1_000_000_000)
    field = headers.octal(whole, 12)
    if field is None or fraction:
        records[b"mtime"] = pax.seconds(count)
    return field or bytes(12)


def _device(value: int, what: str, highest: int) -> bytes:
    if not 0 <= value <= highest:
        raise TarError(f"its {what} {value} is outside 0 to {highest}")
    return b"%07o\0" % value


def _extension(records: dict[bytes, bytes]) -> bytes:
    """Return a PAX header with the records, nothing if there are none."""
    if not records:
        return b""
    payload = pax.encoded(records)
    zero = b"%07o\0" % 0
    header = Header(
        name=_EXTENSION_NAME,
        mode=b"%07o\0" % 0o644,
        uid=zero,
        gid=zero,
        size=b"%011o\0" % len(payload),
        mtime=b"%011o\0" % 0,
        checksum=b"",
        typeflag=b"x",
        linkname=b"",
        magic=headers.USTAR_MAGIC,
        devmajor=zero,
        devminor=zero,
        prefix=b"",
        trailer=b"",
    )
    return headers.packed(header) + payload + ZEROS[: -len(payload) % BLOCK]
