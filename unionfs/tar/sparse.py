"""Maps of sparse files: old GNU, and PAX 0.0, 0.1 and 1.0.

Source: GNU tar manual, "Storing Sparse Files". Their content is the data of the extents one after another.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from unionfs.tar.errors import LimitError, TarError, printable
from unionfs.tar.extensions import Extensions
from unionfs.tar.header import BLOCK, GNU_MAGIC, number
from unionfs.tar.pax import decimal
from unionfs.tar.source import Source

_KEYWORDS = frozenset(
    b"GNU.sparse." + word for word in b"major minor name size realsize numblocks offset numbytes map".split()
)
_LONGEST_LINE = 21  # the digits of the largest 64-bit number, and a newline
_PAIR = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")

ExtentList = list[tuple[int, int]]

HIGHEST_SIZE = (1 << 63) - 1
"""The largest file Linux knows (a signed 64-bit off_t)."""


class Sparse(NamedTuple):
    """A map as the archive gives it, not yet checked."""

    extents: ExtentList
    size: int
    """Bytes of the whole file, holes included."""
    overhead: int
    """Bytes of the map that are stored, and counted, as content."""


def find(block: bytes, extensions: Extensions, source: Source, stored: int, limit: int) -> Sparse | None:
    """Read the map of the file whose header is ``block``; None if the file is not sparse.

    Leaves ``source`` at the data. Raises TarError for a malformed map, LimitError for one too long.
    """
    values = extensions.values
    if block[156:157] == b"S":
        return _old_gnu(block, source, limit)
    if values.keys().isdisjoint(_KEYWORDS):
        return None
    version = values.get(b"GNU.sparse.major", b"0"), values.get(b"GNU.sparse.minor", b"0")
    real = values.get(b"GNU.sparse.realsize") or values.get(b"GNU.sparse.size")
    if not real:
        raise TarError("its sparse map doesn't tell the size of the file")
    size = decimal(real, "real size")
    if version == (b"1", b"0"):
        extents, overhead = _before_content(source, stored, limit)
        return Sparse(extents, size, overhead)
    if version in ((b"0", b"0"), (b"0", b"1")):
        return Sparse(_in_records(extensions.pairs, values, limit), size, 0)
    raise TarError(f"its sparse format {printable(b'.'.join(version))} is unknown")


def _old_gnu(block: bytes, source: Source, limit: int) -> Sparse:
    """Return the map in a header of type ``S`` and the blocks after it."""
    if block[257:265] != GNU_MAGIC:
        raise TarError("its GNU sparse map stands in a header of another format")
    extents: ExtentList = []
    table, more = block[386:482], block[482]
    while True:
        for at in range(0, len(table), 24):
            if not table[at + 12]:
                if more:  # or empty blocks could go on for ever
                    raise TarError("its sparse map goes on after its end")
                break
            offset, length = table[at : at + 12], table[at + 12 : at + 24]
            extents.append((number(offset, "sparse offset"), number(length, "sparse length")))
        if not more:
            return Sparse(extents, number(block[483:495], "real size"), 0)
        _check_count(len(extents) + 1, limit)
        following = _map_block(source)
        table, more = following[:504], following[504]


def _in_records(pairs: Iterable[tuple[bytes, bytes]], values: Mapping[bytes, bytes], limit: int) -> ExtentList:
    """Return the map of PAX 0.1 (one record) or 0.0 (two records for each extent)."""
    if b"GNU.sparse.map" in values:
        numbers = values[b"GNU.sparse.map"].split(b",") if values[b"GNU.sparse.map"] else []
    else:
        found = [pair for pair in pairs if pair[0] in _PAIR]
        if any(key != _PAIR[n % 2] for n, (key, _) in enumerate(found)):
            raise TarError("its sparse map has offsets and lengths out of order")
        numbers = [value for _, value in found]
    _check_count(len(numbers) // 2, limit)
    extents = _paired(numbers)
    declared = values.get(b"GNU.sparse.numblocks")
    if declared is not None and decimal(declared, "GNU.sparse.numblocks") != len(extents):
        raise TarError("its sparse map has another length than it says")
    return extents


def _before_content(source: Source, stored: int, limit: int) -> tuple[ExtentList, int]:
    """Return the map of PAX 1.0, which stands before the content, and the bytes it took."""
    blocks: list[bytes] = []
    lines, wanted = 0, 1
    while lines < wanted:
        if BLOCK * (len(blocks) + 1) > stored:
            raise TarError("its sparse map doesn't end within its content")
        if BLOCK * len(blocks) > _LONGEST_LINE * wanted:
            raise TarError("its sparse map holds something else than numbers")
        block = _map_block(source)
        if not blocks:
            count = _natural(block.partition(b"\n")[0])
            _check_count(count, limit)
            wanted += 2 * count
        blocks.append(block)
        lines += block.count(b"\n")
    return _paired(b"".join(blocks).split(b"\n")[1:wanted]), BLOCK * len(blocks)


def _map_block(source: Source) -> bytes:
    block = source.take(BLOCK)
    if len(block) < BLOCK:
        raise TarError("the archive ends within its sparse map")
    return block


def _check_count(count: int, limit: int) -> None:
    """Raise LimitError if a map of so many extents is too long."""
    if count > limit:
        raise LimitError("the number of extents in its sparse map", "sparse_extents", limit)


def checked(found: Sparse, stored: int) -> tuple[tuple[int, int], ...]:
    """Return the extents that hold data; raise TarError unless they ascend within the file and are stored."""
    if not 0 <= found.size <= HIGHEST_SIZE:
        raise TarError(f"its size {found.size} is outside what a file can have")
    end = 0
    for offset, length in found.extents:
        if offset < end or length < 0 or offset + length > found.size:
            raise TarError("its sparse map is not in order or reaches beyond the file")
        end = offset + length
    if sum(length for _, length in found.extents) != stored:
        raise TarError("its sparse map doesn't match the amount of content")
    return tuple((offset, length) for offset, length in found.extents if length)


def _paired(numbers: list[bytes]) -> ExtentList:
    if len(numbers) % 2:
        raise TarError("its sparse map has an offset without a length")
    values = [_natural(value) for value in numbers]
    return list(zip(values[::2], values[1::2], strict=True))


def _natural(value: bytes) -> int:
    count = decimal(value, "sparse map's number")
    if count < 0:
        raise TarError("its sparse map holds a negative number")
    return count
