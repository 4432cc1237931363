"""What nothing in the store leads to: found, and removed.

Owns what counts as a root: the entries of the index, the uppers with a name, and the mounts that are served.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from unionfs.image import Descriptor, Digest, ImageError, Index, Manifest
from unionfs.image.media_type import INDEXES, MANIFESTS
from unionfs.layer.unpack import remove_tree
from unionfs.store.blobs import Blobs
from unionfs.store.error import StoreError
from unionfs.store.images import Images
from unionfs.store.layer_directory import LayerDirectory
from unionfs.store.layout import INGEST, LAYERS, StoreLayout
from unionfs.store.locks import Waiting
from unionfs.store.mounts import Mounts
from unionfs.store.unpacked import EMPTY, layer_name
from unionfs.store.uppers import Uppers


@dataclass(frozen=True, slots=True)
class Needed:
    """What must stay."""

    blobs: frozenset[Digest]
    layers: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed."""

    blobs: tuple[Digest, ...]
    layers: tuple[bytes, ...]
    bytes: int
    """Of the blobs; what layers took isn't counted."""


def needed(images: Images, uppers: Uppers, mounts: Mounts) -> Needed:
    """Give what the roots lead to.

    Raises:
        StoreError: documents are missing or wrong, so that this can't be known.
    """
    blobs: set[Digest] = set()
    layers: set[bytes] = set()
    uses = [upper.use for upper in uppers] + [mount.use for mount in mounts.in_use()]
    for use in uses:
        layers.update(map(os.fsencode, use.layers))
        # The image may be damaged or gone, and the upper is worth keeping nevertheless.
        with suppress(StoreError):
            blobs.update(blob for blob, _ in _reached(images, use.manifest))
    for entry in images.entries():
        for blob, chain_ids in _reached(images, entry):
            blobs.add(blob)
            layers.update(map(layer_name, chain_ids))
    return Needed(frozenset(blobs), frozenset(layers | {EMPTY}))


def _reached(images: Images, entry: Descriptor) -> Iterator[tuple[Digest, tuple[Digest, ...]]]:
    """Give each blob that an entry leads to, with the chain ids of the layers that the config there names."""
    yield entry.digest, ()
    try:
        if entry.media_type in INDEXES:
            for inner in Index.read(images.document(entry, "image index"), entry.media_type).manifests:
                # Whoever copies an index may leave platforms out.
                if images.has(inner):
                    yield from _reached(images, inner)
        elif entry.media_type in MANIFESTS:
            manifest = Manifest.read(images.document(entry, "manifest"), entry.media_type)
            # Nothing of an artifact is unpacked.
            yield manifest.config.digest, images.documents(entry)[1].chain_ids if manifest.is_runnable else ()
            yield from ((layer.digest, ()) for layer in manifest.layers)
    except ImageError as error:
        raise StoreError(f"the store is damaged: {error}; 'unionfs check --repair' mends it") from error


def remove_all_but(layout: StoreLayout, blobs: Blobs, keep: Needed, waiting: Waiting) -> Removed:
    """Remove the blobs and layers that aren't needed. Nobody else uses the store."""
    sweep(layout)
    gone = [(digest, size) for digest, size in blobs if digest not in keep.blobs]
    for digest, _ in gone:
        blobs.remove(digest)
    with LayerDirectory(layout.path / LAYERS, waiting) as layers:
        names = [name for name in layers.names() if name not in keep.layers]
        for name in names:
            layers.remove(name)
    return Removed(tuple(digest for digest, _ in gone), tuple(names), sum(size for _, size in gone))


def sweep(layout: StoreLayout) -> None:
    """Remove what was in the making when its process was killed. Nobody else uses the store."""
    directory = os.open(INGEST, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=layout.fd)
    try:
        for name in os.listdir(directory):
            remove_tree(directory, os.fsencode(name))
    finally:
        os.close(directory)
