"""What the store's content takes on disk, and how much of it nobody uses."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from unionfs.image import Digest
from unionfs.layer.descriptors import MINIMUM, Descriptors
from unionfs.layer.directory import Directory, Tree
from unionfs.layer.walk import listing, walk
from unionfs.store.images import StoredImage
from unionfs.store.layout import LAYERS
from unionfs.store.store import Store
from unionfs.store.unpacked import opened_layers

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK = 512
"""What ``st_blocks`` counts in, whatever the file system's own blocks are."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One image, unpacked layer or upper; sizes are in bytes."""

    name: str
    size: int
    unique: int
    """What goes with it, no other needing it."""
    active: bool
    """Whether a mount uses it, or an upper does."""


@dataclass(frozen=True, slots=True)
class Usage:
    """All of a store at one moment; ``blobs`` and ``active_blobs`` are bytes, what images share counted once."""

    images: tuple[Taken, ...]
    layers: tuple[Taken, ...]
    uppers: tuple[Taken, ...]
    blobs: int
    active_blobs: int


def usage(store: Store) -> Usage:
    """Measure a store.

    Raises:
        StoreError, ImageError: something in it can't be understood.
        OSError: it can't be read.
    """
    with store.using():
        images = store.catalogue().images
        mounts = store.mounted()
        uppers = tuple(store.uppers)
        uses = [upper.use for upper in uppers] + [mount.use for mount in mounts]
        manifests = {use.manifest.digest for use in uses}
        needed_layers = {name for use in uses for name in use.layers}
        sizes = dict(store.blobs)
        users = Counter(blob for image in images for blob in _blobs_of(image))
        active = {blob for image in images if image.manifest_digest in manifests for blob in _blobs_of(image)}
        return Usage(
            images=tuple(_image(image, sizes, users, manifests) for image in images),
            layers=tuple(_layer(path, path.name in needed_layers) for path in _layers(store)),
            uppers=tuple(
                Taken(upper.name, size, size, upper.name in {mount.upper for mount in mounts})
                for upper in uppers
                for size in [taken(upper.path)]
            ),
            blobs=sum(sizes.values()),
            active_blobs=sum(sizes.get(blob, 0) for blob in active),
        )


def _image(image: StoredImage, sizes: dict[Digest, int], users: Counter[Digest], active: set[Digest]) -> Taken:
    blobs = _blobs_of(image)
    return Taken(
        image.shown,
        sum(sizes.get(blob, 0) for blob in blobs),
        sum(sizes.get(blob, 0) for blob in blobs if users[blob] == 1),
        image.manifest_digest in active,
    )


def _blobs_of(image: StoredImage) -> set[Digest]:
    return {image.manifest_digest, image.id, *(layer.digest for layer in image.manifest.layers)}


def _layers(store: Store) -> Iterator[Path]:
    with opened_layers(store.path / LAYERS) as layers:
        yield from map(layers.path_of, layers.names())


def _layer(path: Path, active: bool) -> Taken:
    size = taken(path)
    return Taken(path.name.replace("-", ":", 1), size, size, active)


def taken(path: Path) -> int:
    """Return the bytes that a directory and all beneath it take on disk, a file with several names counted once."""
    top = os.open(path, _DIRECTORY)
    try:
        with closing(Descriptors(MINIMUM)) as descriptors:
            tree = Tree(descriptors, os.fstat(top).st_dev, position=0, confined=False)
            blocks = {os.fstat(top).st_ino: os.fstat(top).st_blocks}
            for directory in walk(Directory(tree, None, b"", top)):
                for entry in listing(directory):
                    found = entry.stat(follow_symlinks=False)
                    blocks[found.st_ino] = found.st_blocks
            return sum(blocks.values()) * _BLOCK
    finally:
        os.close(top)
