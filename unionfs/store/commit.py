"""New images: a layer that is written into the store, and the image that has it.

Owns the order: the blob first, whole and synced, then its directory, then the documents, and the name last. Layers that
the store has already are neither copied nor unpacked again. The content lock is held by whoever calls.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from unionfs.archive import Image, Layer
from unionfs.archive.writing.compression import Compression, compressing
from unionfs.image import Config, Descriptor, Digest, Reference, chain_ids
from unionfs.image import media_type as types
from unionfs.store.load import Loaded
from unionfs.store.store import Store
from unionfs.tar.writer import Sink


@dataclass(frozen=True, slots=True)
class NewLayer:
    """A layer that was written: the digest of its tar, and its blob, which is in the store."""

    diff_id: Digest
    blob: Descriptor


def write_layer(store: Store, write: Callable[[Sink], None]) -> NewLayer:
    """Keep, compressed, the tar that *write* writes.

    Raises:
        OSError: there is no room.
        what *write* raises; then nothing stays.
    """
    with store.blobs.staging() as staged:
        with open(staged.fd, "wb", closefd=False) as file:
            blob = _Hashing(file)
            with compressing(blob, Compression.GZIP) as compressed:
                tar = _Hashing(compressed)
                write(tar)
        descriptor = Descriptor(types.OCI_LAYER_GZIP, blob.digest, staged.size)
        store.blobs.keep(staged, descriptor.digest)
    return NewLayer(tar.digest, descriptor)


def add_image(
    store: Store, config: Config, beneath: Sequence[Layer], new: NewLayer | None, names: Sequence[Reference]
) -> Loaded:
    """Have the image with *config*, whose layers are those *beneath*, of the store, and *new* on top.

    Raises:
        StoreError: the new layer can't be unpacked.
        OSError: there is no room, or the store can't be written.
    """
    layers = list(beneath)
    if new is not None:
        chain_id = chain_ids(config.diff_ids)[-1]
        layers.append(Layer(new.diff_id, chain_id, new.blob, partial(store.blobs.open, new.blob.digest)))
    return store.load(Image((), config, config.digest, None, None, tuple(layers)), names)


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
