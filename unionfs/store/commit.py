"""New images: a layer that is written into the store, and the image that has it.

Owns the order: the layer's directory first, which proves it, then its blob, then the documents, and the name last.
Layers that the store has already are neither copied nor unpacked again. The content lock is held by whoever calls.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from unionfs.archive import Image, Layer
from unionfs.archive.writing.compression import Compression, compressing
from unionfs.image import Config, Descriptor, Digest, Reference, chain_ids
from unionfs.image import media_type as types
from unionfs.store.blobs import StagedBlob
from unionfs.store.layout import LAYERS
from unionfs.store.store import Store
from unionfs.store.unpack import unpack_image
from unionfs.tar.writer import Sink


@dataclass(frozen=True, slots=True)
class NewLayer:
    """A layer that was written: the digest of its tar, and its blob, which is kept with the image that has it."""

    diff_id: Digest
    blob: Descriptor
    staged: StagedBlob


@contextmanager
def writing_layer(store: Store, write: Callable[[Sink], None]) -> Iterator[NewLayer]:
    """Give the layer whose tar *write* writes, compressed; unless ``add_image`` keeps it, nothing stays of it.

    Raises:
        OSError: there is no room.
        what *write* raises.
    """
    with store.blobs.staging() as staged:
        with open(staged.fd, "wb", closefd=False) as file:
            blob = _Hashing(file)
            with compressing(blob, Compression.GZIP) as compressed:
                tar = _Hashing(compressed)
                write(tar)
        yield NewLayer(tar.digest, Descriptor(types.OCI_LAYER_GZIP, blob.digest, staged.size), staged)


def add_image(
    store: Store, config: Config, beneath: Sequence[Layer], new: NewLayer | None, names: Sequence[Reference]
) -> tuple[str, ...]:
    """Have the image with *config*, whose layers are those *beneath*, of the store, and *new* on top; give warnings.

    Raises:
        StoreError: the new layer can't be unpacked; nothing has changed.
        OSError: there is no room, or the store can't be written.
    """
    if new is None:
        return store.load(_image(config, beneath), names).unpacked.warnings
    layer = Layer(new.diff_id, chain_ids(config.diff_ids)[-1], new.blob, new.staged.open)
    image = _image(config, (*beneath, layer))
    with store.loading() as loading:
        unpacked = unpack_image(image, store.path / LAYERS)
        store.blobs.keep(new.staged, new.blob.digest)
        loading.take(image, names)
    return unpacked.warnings


def _image(config: Config, layers: Sequence[Layer]) -> Image:
    return Image((), config, config.digest, None, None, tuple(layers))


class _Hashing:
    """A sink that knows the digest of what went through it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._hasher = hashlib.sha256()

    def write(self, piece: bytes, /) -> None:
        """Pass *piece* on."""
        self._hasher.update(piece)
        self._sink.write(piece)

    @property
    def digest(self) -> Digest:
        """The digest of all so far."""
        return Digest("sha256", self._hasher.hexdigest())
