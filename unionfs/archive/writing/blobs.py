"""What is written: content by its digest, and what a layer is that its source describes only in part."""

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unionfs.archive.blob_type import layer_type
from unionfs.archive.decompress import decompress
from unionfs.archive.images import Layer
from unionfs.archive.limits import DEFAULTS
from unionfs.archive.stream import ByteStream, Window
from unionfs.archive.verify import VerifyingReader
from unionfs.image import Descriptor, Digest
from unionfs.image.media_type import OCI_LAYER

if TYPE_CHECKING:
    from unionfs.tar.source import Stream

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
        media_type = layer_type(window)
        if media_type is None:
            plain = Descriptor(OCI_LAYER, layer.diff_id, _expanded_size(window, layer.diff_id))
            return StoredLayer(plain, lambda: decompress(layer.open(), DEFAULTS.expanded))
        return StoredLayer(Descriptor(media_type, _digest(layer, window, media_type), window.size), layer.open)


def _digest(layer: Layer, window: Window, media_type: str) -> Digest:
    """Return the digest of the blob as it is stored."""
    if layer.descriptor is not None:
        return layer.descriptor.digest
    if media_type == OCI_LAYER:
        return layer.diff_id
    _expanded_size(window, layer.diff_id)
    window.seek(0)
    return Digest("sha256", hashlib.file_digest(window, "sha256").hexdigest())


def _expanded_size(window: Window, diff_id: Digest) -> int:
    """Return the bytes that a blob decompresses to, after they were found right."""
    content = VerifyingReader(decompress(window, DEFAULTS.expanded), diff_id, None, f"layer {diff_id}")
    content.verify()
    return content.count
