"""Reads whole archives for the tests of the reader."""

import io
from collections.abc import Iterable

import pytest

from unionfs.tar import Entry, Limits, Reader, TarError

DEFAULT = Limits()


def content(entry: Entry, chunks: Iterable[tuple[int, bytes]]) -> bytes:
    """Put the chunks of a small file together, its holes as zeros."""
    whole = bytearray(entry.size)
    for offset, piece in chunks:
        whole[offset : offset + len(piece)] = piece
    assert len(whole) == entry.size
    return bytes(whole)


def entries(archive: bytes, limits: Limits = DEFAULT) -> list[Entry]:
    """Read an archive, leaving the content alone."""
    return list(Reader(io.BytesIO(archive), limits))


def only(archive: bytes, limits: Limits = DEFAULT) -> Entry:
    """Read an archive with one entry."""
    (entry,) = entries(archive, limits)
    return entry


def contents(archive: bytes) -> dict[bytes, bytes]:
    """Read an archive of small files."""
    reader = Reader(io.BytesIO(archive))
    return {entry.name: content(entry, reader.chunks()) for entry in reader}


def drain(reader: Reader) -> int:
    """Read everything and return the number of bytes of content."""
    return sum(len(piece) for _ in reader for _, piece in reader.chunks())


def refusal(archive: bytes, limits: Limits = DEFAULT) -> str:
    """Return the text of the error that an archive is refused with."""
    reader = Reader(io.BytesIO(archive), limits)
    with pytest.raises(TarError) as caught:
        drain(reader)
    return str(caught.value)
