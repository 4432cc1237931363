"""What is told of an image, a layer, or a path: its attributes, which layers touch it, the beginning of its content.

Owns how much is read, and what is taken for text.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from unionfs.explore.changes import Change, story
from unionfs.explore.outline import Row
from unionfs.explore.subject import Made, Words
from unionfs.explore.totals import Total
from unionfs.layer.attributes import Attributes
from unionfs.layer.entry import Kind
from unionfs.layer.unpack.lower_links import xattrs_shown

MOST_READ = 64 << 10
"""Bytes of a file that are shown."""
_MOST_OF_XATTR = 64
_PER_LINE = 16
_SECOND = 1_000_000_000
_VERBS = {Change.ADDED: "adds it", Change.CHANGED: "changes it", Change.REMOVED: "removes it"}


def facts(row: Row, words: Words) -> Iterator[str]:
    """Give lines on what *row* stands for: path, type and mode, owner, size, time, target, attributes.

    Raises:
        OSError: it can't be examined.
    """
    yield words.escape("/" + os.fsdecode(row.path))
    entry = row.item.entry
    if entry is None:
        yield "a whiteout of nothing"
        return
    attributes, _ = entry.directory.examine(row.item.name)
    yield f"{stat.filemode(attributes.mode)} ({stat.S_IMODE(attributes.mode):04o})"
    yield f"owner {attributes.uid}:{attributes.gid}"
    yield from _extent(attributes)
    yield f"mtime {_instant(attributes.mtime_ns)}"
    if entry.kind is Kind.SYMLINK:
        yield words.escape(f"-> {os.fsdecode(entry.directory.readlink(row.item.name))}")
    for name, value in sorted(xattrs_shown(entry.directory, row.item.name).items()):
        yield words.escape(f"{os.fsdecode(name)}={_value(value)}")


def touches(row: Row, layers: Sequence[Made], words: Words) -> Iterator[str]:
    """Give a line for each layer that does something to what is at the path of *row*, with the step that made it."""
    for number, change in story(row.column, row.item.parts, len(layers)):
        made = layers[number]
        by = f": {made.created_by}" if made.created_by else ""
        yield words.escape(f"{change.value} layer {made.number} {_VERBS[change]}{by}")


def beneath(total: Total, words: Words) -> str:
    """Say how many bytes all layers ship beneath a directory, and how many of them don't show in the end."""
    return f"{words.size(total.shipped)} shipped, {words.size(total.wasted)} wasted"


def of_layer(made: Made, total: Total | None, words: Words) -> Iterator[str]:
    """Give lines on a layer; *total*, if it is known, is that of the root."""
    yield f"layer {made.number} {made.digest}"
    yield words.escape(made.created_by)
    if total is not None and (lost := total.lost(made.number - 1)):
        yield f"hides {words.size(lost)} of the layers below"


def of_image(name: str, layers: int, total: Total | None, words: Words) -> str:
    """Give one line on the image."""
    counted = f"{layers} layer{'s' * (layers != 1)}"
    if total is None:
        return f"{words.escape(name)}  {counted}, measuring …"
    share = total.wasted / total.shipped if total.shipped else 0
    size = words.size
    return f"{words.escape(name)}  {size(total.shipped)} in {counted}, {size(total.wasted)} wasted ({share:.1%})"


def content(row: Row, words: Words) -> Iterator[str]:
    """Give the lines of the beginning of a regular file, as text or in hexadecimal; none for anything else.

    Raises:
        OSError: it can't be read.
    """
    entry = row.item.entry
    if entry is None or entry.kind is not Kind.FILE:
        return
    with entry.directory.opened(row.item.name) as fd:
        size, read = os.fstat(fd).st_size, _beginning(fd)
    yield from _text(read, words) if _is_text(read) else _hexadecimal(read)
    if size > len(read):
        yield f"… {size - len(read)} more bytes"


def _extent(attributes: Attributes) -> Iterator[str]:
    if attributes.is_regular:
        yield f"{attributes.size} bytes"
    if attributes.nlink > 1 and not attributes.is_directory:
        yield f"{attributes.nlink} names"
    if attributes.type_bits in (stat.S_IFCHR, stat.S_IFBLK):
        yield f"device {os.major(attributes.rdev)}:{os.minor(attributes.rdev)}"


def _instant(ns: int) -> str:
    try:
        return datetime.fromtimestamp(ns // _SECOND, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return f"@{ns // _SECOND}"


def _value(value: bytes) -> str:
    """Give the value of an attribute as text where it is one, its end included that programs in C put there."""
    shown = value[:_MOST_OF_XATTR]
    text = shown.removesuffix(b"\0").decode("utf-8", "surrogateescape")
    written = text if text.isprintable() else f"0x{shown.hex()}"
    return written + "…" * (len(value) > len(shown))


def _beginning(fd: int) -> bytes:
    read = b""
    while len(read) < MOST_READ and (piece := os.pread(fd, MOST_READ - len(read), len(read))):
        read += piece
    return read


def _is_text(read: bytes) -> bool:
    """Tell whether *read* is text: no byte is 0, and at most one in ten isn't something to be seen."""
    if b"\0" in read:
        return False
    odd = sum(1 for each in read.decode("utf-8", "surrogateescape") if not (each.isprintable() or each.isspace()))
    return odd * 10 <= len(read)


def _text(read: bytes, words: Words) -> Iterator[str]:
    for line in read.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n"):
        yield words.escape(line.expandtabs(8))


def _hexadecimal(read: bytes) -> Iterator[str]:
    for offset in range(0, len(read), _PER_LINE):
        piece = read[offset : offset + _PER_LINE]
        seen = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in piece)
        yield f"{offset:08x}  {piece[:8].hex(' '):<23}  {piece[8:].hex(' '):<23}  {seen}"
