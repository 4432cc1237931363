"""What is written: content by its digest, and what a layer is that its source describes only in part."""

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unionfs.archive import zstd_frames
from unionfs.archive.decompress import decompress, is_compressed
from unionfs.archive.gzip_member import MAGIC as GZIP_MAGIC
from unionfs.archive.images import Layer
from unionfs.archive.stream import CHUNK, ByteStream, Window
from unionfs.archive.verify import VerifyingReader
from unionfs.image import Descriptor, Digest
from unionfs.image.build import layer_type
from unionfs.image.media_type import OCI_CONFIG

if TYPE_CHECKING:
    from unionfs.tar.source import Stream

_SNIFFED = 16


Content = ByteStream | io.BytesIO

Copied = Callable[[int], None]
"""Told the number of bytes of each piece of a blob that was read."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Content that can be read any number of times, as long as its source is open."""

    digest: Digest
    size: int
    """In bytes."""
    opener: Callable[[], Content] = field(repr=False, compare=False)
    what: str = field(default="blob", compare=False)
    """What it is in an error."""

    @contextmanager
    def reading(self, copied: Copied) -> Iterator[ByteStream]:
        """Give the content; reading it raises ArchiveError where size or digest turn out wrong.

        Of a blob with a wrong digest the last piece is never given.
        """
        with closing(self.opener()) as stored:
            checked = VerifyingReader(stored, self.digest, self.size, f"{self.what} {self.digest}")
            yield _Told(checked, copied)


class _Told(ByteStream):
    """A stream that says how much of it has been read."""

    def __init__(self, stream: "Stream", copied: Copied) -> None:
        self._stream = stream
        self._copied = copied

    def _some(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self._copied(len(piece))
        return piece


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A layer's blob as a manifest can list it."""

    descriptor: Descriptor
    opener: Callable[[], Content] = field(repr=False, compare=False)


def stored_layer(layer: Layer) -> StoredLayer:
    """Return how a layer can be listed whose source has no manifest, by what the blob itself shows.

    A blob whose digest nobody tells is read for it once, and then its diff_id is checked too. One that is
    compressed in a way that OCI has no media type for counts as what it decompresses to. Raises ArchiveError for a
    damaged blob, and OSError.
    """
    with layer.open() as window:
        compression = _compression(window)
        if compression is None:
            size = _expanded_size(window, layer.diff_id)
            plain = Descriptor(layer_type(OCI_CONFIG), layer.diff_id, size)
            return StoredLayer(plain, lambda: decompress(layer.open()))
        media_type = layer_type(OCI_CONFIG, compression)
        return StoredLayer(Descriptor(media_type, _digest(layer, window, compression), window.size), layer.open)


def _compression(window: Window) -> str | None:
    """Return how a blob is compressed, empty if it isn't, None if OCI doesn't know the way."""
    start = window.read(_SNIFFED)
    window.seek(0)
    if start.startswith(GZIP_MAGIC):
        return "gzip"
    if zstd_frames.is_frame(start):
        return "zstd"
    other = is_compressed(window)
    window.seek(0)
    return None if other else ""


def _digest(layer: Layer, window: Window, compression: str) -> Digest:
    """Return the digest of the blob as it is stored."""
    if layer.descriptor is not None:
        return layer.descriptor.digest
    if not compression:
        return layer.diff_id
    _expanded_size(window, layer.diff_id)
    window.seek(0)
    return Digest("sha256", hashlib.file_digest(window, "sha256").hexdigest())


def _expanded_size(window: Window, diff_id: Digest) -> int:
    """Return the bytes that a blob decompresses to, after they were found right."""
    content = VerifyingReader(decompress(window), diff_id, None, f"layer {diff_id}")
    while content.read(CHUNK):
        pass
    return content.count
