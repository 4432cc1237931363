"""The reader: from a stream of bytes to entries and their content.

Owns the order of things in an archive: extension headers, the entry they belong to, its content, the end. The
encoding of each is in the modules beside it.
"""

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType

from unionfs.tar import header as headers
from unionfs.tar import pax, sparse
from unionfs.tar.entry import Entry, Kind
from unionfs.tar.errors import LimitError, TarError, printable
from unionfs.tar.extensions import FLAGS, Extensions
from unionfs.tar.header import BLOCK, ZEROS, Header
from unionfs.tar.limits import Limits
from unionfs.tar.source import CHUNK, Source, Stream

_DEFAULTS = Limits()
_NO_XATTRS: MappingProxyType[bytes, bytes] = MappingProxyType({})

_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"S": Kind.FILE,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHAR,
    b"4": Kind.BLOCK,
    b"5": Kind.DIR,
    b"6": Kind.FIFO,
}


class Reader:
    """Reads a tar stream once, front to back, in memory that doesn't grow with the archive.

    Iterating gives the entries and, before it ends, reads the stream to its very end, so that a stream that
    hashes has seen the padding and whatever follows the archive. Raises TarError for a malformed archive and
    LimitError for one beyond ``limits``; what the stream's own ``read`` raises passes through.
    """

    def __init__(self, stream: Stream, limits: Limits = _DEFAULTS) -> None:
        self._source = Source(stream)
        self._limits = limits
        self._turn = 0
        self._entries = 0
        self._bytes = 0
        self._ended = False
        self._start = 0
        self._name: bytes | None = None
        self._extents: tuple[tuple[int, int], ...] = ()
        self._left = 0
        self._padding = 0
        self._content: Iterator[tuple[int, bytes]] | None = None

    def __iter__(self) -> Iterator[Entry]:
        """Yield each entry; its content is read with ``chunks`` before the next one is asked for."""
        while not self._ended:
            try:
                entry = self._next()
            except TarError as error:
                raise self._placed(error) from None
            if entry is not None:
                yield entry

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        """Return the current entry's content as (offset in the file, up to 1 MiB of data), without holes.

        A second call goes on where the first one stopped. Raises TarError if the archive ends too early, and
        RuntimeError when used after the next entry was asked for.
        """
        if self._content is None:
            self._content = self._read_content(self._turn, self._extents)
        return self._content

    def _read_content(self, turn: int, extents: tuple[tuple[int, int], ...]) -> Iterator[tuple[int, bytes]]:
        for start, length in extents:
            offset, end = start, start + length
            while offset < end:
                if self._turn != turn:
                    raise RuntimeError("the reader has left the entry whose content is read")
                piece = self._source.some(end - offset)
                if not piece:
                    raise self._placed(TarError("the archive ends within its content"))
                self._left -= len(piece)
                yield offset, piece
                offset += len(piece)

    def _placed(self, error: TarError) -> TarError:
        """Return the error with the entry's name, or where that isn't known the place, before its text."""
        place = f"at byte {self._start}" if self._name is None else printable(self._name)
        error.args = (f"{place}: {error}",)
        return error

    def _next(self) -> Entry | None:
        """Return the next entry, or None once the stream has been read to its end."""
        self._turn += 1
        self._skip_content()
        extensions: Extensions | None = None
        while True:
            self._name = None
            self._start = self._source.offset
            block = self._source.take(BLOCK)
            if len(block) < BLOCK or block == ZEROS:
                self._end(block, extensions)
                return None
            header = headers.parse(block)
            kind = _KINDS.get(header.typeflag)
            if kind is not None:
                return self._begin(header, kind, block, extensions)
            if extensions is None:
                extensions = Extensions()
            self._extend(header, extensions)

    def _begin(self, header: Header, kind: Kind, block: bytes, extensions: Extensions | None) -> Entry:
        """Return the entry of a header with its extensions applied, and stand before its content."""
        self._name = headers.path(header)
        self._entries += 1
        if self._entries > self._limits.entries:
            raise LimitError("the archive's number of entries", "entries", self._limits.entries)
        entry = _plain(header, kind, self._name)
        stored = entry.size
        if extensions is not None or header.typeflag == b"S":
            entry, stored = self._extended(entry, block, extensions or Extensions())
        self._bytes += stored
        if self._bytes > self._limits.bytes:
            raise LimitError(f"the archive's content with its {stored} bytes", "bytes", self._limits.bytes)
        self._left = stored
        self._padding = -stored % BLOCK
        self._content = None
        self._extents = ((0, stored),) if entry.sparse is None else entry.sparse
        if kind is Kind.FILE and entry.name.endswith(b"/"):
            # Archives older than the directory type tell a directory by its slash.
            self._extents = ()
            return replace(entry, kind=Kind.DIR, size=0, sparse=None)
        return entry

    def _extended(self, plain: Entry, block: bytes, extensions: Extensions) -> tuple[Entry, int]:
        """Return an entry with its extensions applied, and the bytes of data the archive stores for it."""
        fields = extensions.overrides()
        self._name = fields.get("name", plain.name)
        stored = 0
        if plain.kind is Kind.FILE:
            fields["size"] = stored = extensions.stored(plain.size)
            found = sparse.find(block, extensions, self._source, stored, self._limits.sparse_extents)
            if found is not None:
                stored -= found.overhead
                fields["size"] = found.size
                fields["sparse"] = sparse.checked(found, stored)
        return replace(plain, **fields), stored

    def _extend(self, header: Header, extensions: Extensions) -> None:
        """Read an extension header and what it carries."""
        if header.typeflag not in FLAGS:
            self._name = headers.path(header)
            raise TarError(f"its type '{printable(header.typeflag)}' is unknown")
        size = headers.file_size(headers.number(header.size, "size"))
        extensions.admit(size, self._limits.pax_record)
        payload = self._source.take(size)
        if len(payload) < size:
            raise TarError("the archive ends within an extension header")
        extensions.add(header.typeflag, payload)
        self._source.skip(-size % BLOCK)

    def _skip_content(self) -> None:
        """Pass over what was not read of the present entry; at the end padding may be missing."""
        left = self._left + self._padding
        if left:
            missing = self._source.skip(left)
            if missing > self._padding:
                raise TarError("the archive ends within its content")
            self._left = self._padding = 0

    def _end(self, block: bytes, extensions: Extensions | None) -> None:
        """Check how the archive ends, and read what follows it."""
        # The format asks for two blocks of zeros; many writers leave out one or both.
        second = self._source.take(BLOCK) if block == ZEROS else b""
        if len(block) % BLOCK or len(second) % BLOCK:
            raise TarError("the archive ends within a header")
        if second and second != ZEROS:
            raise TarError("a single block of zeros stands before more of the archive")
        if extensions is not None and extensions.pending:
            raise TarError("an extension header has no entry after it")
        following = 0
        while piece := self._source.some(CHUNK):
            following += len(piece)
            if following > self._limits.trailing:
                raise LimitError("the number of bytes after the archive", "trailing", self._limits.trailing)
        self._ended = True
        # No content is current any more.
        self._extents = ()
        self._content = None


def _plain(header: Header, kind: Kind, name: bytes) -> Entry:
    """Return what the header alone says."""
    size = headers.file_size(headers.number(header.size, "size"))
    major = minor = 0
    if (kind is Kind.CHAR or kind is Kind.BLOCK) and header.magic.startswith(b"ustar"):
        major = headers.device(header.devmajor, "device major", 0xFFF)
        minor = headers.device(header.devminor, "device minor", 0xFFFFF)
    return Entry(
        name,
        kind,
        headers.permissions(header.mode),
        headers.identity(header.uid, "uid"),
        headers.identity(header.gid, "gid"),
        size if kind is Kind.FILE else 0,
        pax.checked_time(headers.number(header.mtime, "mtime") * 1_000_000_000, "mtime"),
        None,
        header.linkname.partition(b"\0")[0],
        major,
        minor,
        _NO_XATTRS,
        None,
    )
