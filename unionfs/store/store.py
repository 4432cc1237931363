"""The local store of images: what the commands do with it.

Owns which locks a step takes and in which order what it writes appears: content first, names last; and names go first.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from unionfs.archive import Image, Layer
from unionfs.archive.images import check_layer_count
from unionfs.archive.limits import DEFAULTS
from unionfs.image import Descriptor, Digest, Reference
from unionfs.layer.unpack import remove_tree
from unionfs.store import garbage
from unionfs.store.blobs import Blobs
from unionfs.store.error import StoreError
from unionfs.store.garbage import Removed
from unionfs.store.images import Catalogue, Images, StoredImage, name_of, named, unnamed, without
from unionfs.store.layer_directory import LayerDirectory
from unionfs.store.layout import INGEST, LAYERS, StoreLayout
from unionfs.store.load import Loaded, load
from unionfs.store.locks import Waiting
from unionfs.store.mounts import MountInUse, Mounts
from unionfs.store.unpack import Progress, unpack_image
from unionfs.store.unpacked import EMPTY, layer_name, opened_layers
from unionfs.store.uppers import Uppers, Use
from unionfs.tar import Limits


@dataclass(frozen=True, slots=True)
class StackedImage:
    """An image with its unpacked layers, which stay as long as the store is being used."""

    image: Image
    layers: tuple[Path, ...]
    """The directory of each layer, the lowest first."""
    lowers: tuple[Path, ...]
    """Those that show, the topmost first, as for ``lowerdir=``."""
    use: Use
    """What a mount of it needs."""


class Loading:
    """Images on their way into a store."""

    def __init__(self, store: "Store", limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._taken: list[tuple[Descriptor, Sequence[Reference]]] = []

    def take(self, image: Image, names: Sequence[Reference], progress: Progress = lambda *_: None) -> Loaded:
        """Take in the content of an image that is to get *names*.

        Raises:
            StoreError, ArchiveError: something of it is damaged, missing, or isn't what its digest says.
            OSError: there is no room, or the store can't be written.
        """
        loaded = self._store.take(image, self._limits, progress)
        self._taken.append((loaded.manifest, names))
        return loaded

    def named(self, entries: Sequence[Descriptor]) -> Sequence[Descriptor]:
        """Give the entries of the index with the images that have come in."""
        for image, names in self._taken:
            entries = named(entries, image, names)
        return entries


class Store:
    """An open store; a context manager. Its methods take the locks that they need, unless they say otherwise."""

    def __init__(self, path: Path, waiting: Waiting = lambda _: None) -> None:
        """Open the store at *path*, made if it isn't there.

        *waiting* is told of another process that is waited for, once that takes longer than a second.

        Raises:
            StoreError, ImageError: the directory holds something else.
            OSError: it can't be made, read or written.
        """
        self.path = path.absolute()
        self._waiting = waiting
        self._layout = StoreLayout(path, waiting)
        self.blobs = Blobs(self._layout)
        self._images = Images(self._layout, self.blobs)
        self.uppers = Uppers(self._layout)
        self.mounts = Mounts(self._layout)
        self._has_waste = False

    @property
    def spool(self) -> Path:
        """A directory for unnamed files whose content may become blobs."""
        return self.path / os.fsdecode(INGEST)

    @contextmanager
    def using(self) -> Iterator[None]:
        """Keep what the store holds from being removed; what failed meanwhile leaves nothing, where nobody else is."""
        try:
            with self._layout.sharing():
                yield
        finally:
            if self._has_waste and not self._layout.holds_content:
                self._discard_waste()

    def catalogue(self) -> Catalogue:
        """Read all images, with what is damaged among them."""
        with self.using():
            return self._images.catalogue()

    def by_manifest(self, digest: Digest) -> StoredImage:
        """Give the image with this manifest.

        Raises:
            StoreError: there is none.
        """
        for image in self.catalogue().images:
            if image.manifest_digest == digest:
                return image
        raise StoreError(f"no image has the manifest {digest}")

    def image_of(self, use: Use) -> StoredImage:
        """Give the image that a mount or an upper needs, which may have no entry in the index any more.

        Raises:
            ImageError, ArchiveError: its documents are missing or wrong.
        """
        with self.using():
            for image in self._images.catalogue().images:
                if image.manifest_digest == use.manifest.digest:
                    return image
            return StoredImage(use.manifest, (), *self._images.documents(use.manifest))

    def find(self, argument: str) -> StoredImage:
        """Give the image that a user means; see ``Catalogue.find``."""
        return self.catalogue().find(argument)

    def open(self, stored: StoredImage) -> Image:
        """Give an image as any source gives it. The store is being used (``using``) while its layers are read."""
        check_layer_count(stored.config, len(stored.manifest.layers), DEFAULTS)
        content = self._images.document(stored.descriptor, "manifest")
        layers = tuple(
            Layer(diff_id, chain_id, layer, partial(self.blobs.open, layer.digest))
            for layer, diff_id, chain_id in zip(
                stored.manifest.layers, stored.config.diff_ids, stored.config.chain_ids, strict=True
            )
        )
        return Image(tuple(map(str, stored.names)), stored.config, stored.id, stored.manifest_digest, content, layers)

    def stack(self, stored: StoredImage, called: str = "") -> StackedImage:
        """Give the layers of an image, unpacked. The store is being used."""
        image = self.open(stored)
        names = [layer_name(layer.chain_id) for layer in image.layers]
        with opened_layers(self.path / LAYERS) as layers:
            if not all(map(layers.has, names or [EMPTY])):
                unpack_image(image, self.path / LAYERS, waiting=self._waiting)
            lowers = layers.showing(names)
        use = Use(called or stored.shown, stored.id, stored.descriptor, tuple(map(os.fsdecode, names)))
        return StackedImage(image, tuple(map(layers.path_of, names)), lowers, use)

    @contextmanager
    def loading(self, limits: Limits | None = None) -> Iterator["Loading"]:
        """Take in images, which all get their names at the end; if anything fails, none of them stays.

        Their content then goes when the store isn't used any more, here or elsewhere, or with the next ``collect``.
        """
        loading = Loading(self, limits or Limits())
        with self.using():
            try:
                yield loading
                self._images.change(loading.named)
            except BaseException:
                self._has_waste = True
                raise

    def load(self, image: Image, names: Sequence[Reference]) -> Loaded:
        """Take one image in, under *names*; another image that had one of them stays, without it.

        Raises:
            StoreError, ArchiveError: something of it is damaged, missing, or isn't what its digest says.
            OSError: there is no room, or the store can't be written.
        """
        with self.loading() as loading:
            return loading.take(image, names)

    def take(self, image: Image, limits: Limits, progress: Progress) -> Loaded:
        """Take in the content of an image, which nothing leads to yet. The store is being used."""
        return load(self._layout, self.blobs, image, limits, progress, self._waiting)

    def tag(self, stored: StoredImage, names: Sequence[Reference]) -> None:
        """Give an image further names; another image that had one of them stays, without it."""
        with self.using():
            self._images.change(lambda entries: named(entries, stored.descriptor, names))

    def untag(self, names: Sequence[Reference], *, keeping: bool) -> None:
        """Take names away; an image that has lost its last one goes, unless *keeping*."""
        with self.using():
            self._images.change(lambda entries: unnamed(entries, set(names), keeping=keeping))

    def drop(self, stored: StoredImage) -> bool:
        """Take an image out of the index, with all its names, and tell whether that was done.

        It isn't where another process has given it a name or taken one away since it was looked up. Its content goes
        with ``collect``.
        """
        dropped = False

        def change(entries: Sequence[Descriptor]) -> Sequence[Descriptor]:
            nonlocal dropped
            called = {name_of(entry) for entry in entries if entry.digest == stored.manifest_digest} - {None}
            dropped = called == set(stored.names)
            return without(entries, {stored.manifest_digest}) if dropped else entries

        with self.using():
            self._images.change(change)
        return dropped

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep everybody else from using what the store holds."""
        with self._layout.alone():
            yield

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give a directory of layers for a while. The store is being used."""
        aside = self._layout.aside()
        os.mkdir(aside, 0o700, dir_fd=self._layout.fd)
        try:
            yield self.path / os.fsdecode(aside)
        finally:
            remove_tree(self._layout.fd, aside)

    def forget(self, manifests: set[Digest]) -> None:
        """Take images out of the index. Nobody else uses the store."""
        self._images.change(lambda entries: without(entries, manifests))

    def remove_layer(self, name: bytes) -> None:
        """Remove an unpacked layer. Nobody else uses the store."""
        with LayerDirectory(self.path / LAYERS, self._waiting) as layers:
            layers.remove(name)

    def mounted(self) -> tuple[MountInUse, ...]:
        """Give the mounts that are served."""
        with self.using():
            return tuple(self.mounts.in_use())

    def collect(self) -> Removed:
        """Remove all content that nothing leads to, and what killed processes left.

        Raises:
            StoreError: documents are damaged, so that it can't be known what is needed.
        """
        with self._layout.alone():
            return self._collect()

    def _collect(self) -> Removed:
        self._has_waste = False
        self.mounts.sweep()
        keep = garbage.needed(self._images, self.uppers, self.mounts)
        return garbage.remove_all_but(self._layout, self.blobs, keep, self._waiting)

    def _discard_waste(self) -> None:
        """Collect, unless that means to wait or the store is damaged: what failed before is what is to be told."""
        with self._layout.alone_if_free() as alone, suppress(StoreError):
            if alone:
                self._collect()

    def close(self) -> None:
        """Close the store's directory."""
        self._layout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
