"""Which images a store has, and what they are called: its ``index.json``, and the documents that it leads to.

An entry with a full name in ``org.opencontainers.image.ref.name`` is that name of an image; one without is an image
that has no name. What other programs wrote there is kept.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from unionfs.archive import ArchiveError
from unionfs.image import Config, Descriptor, Digest, ImageError, Index, Manifest, Reference, shown
from unionfs.image import layout as names
from unionfs.image.build import index_bytes
from unionfs.image.index import is_image
from unionfs.image.media_type import INDEXES
from unionfs.store.blobs import Blobs
from unionfs.store.error import StoreError
from unionfs.store.layout import StoreLayout

_ID_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")
_INDEX_FILE = names.INDEX.encode()


@dataclass(frozen=True)
class StoredImage:
    """An image of the store: its manifest, and all names of it."""

    descriptor: Descriptor
    names: tuple[Reference, ...]
    manifest: Manifest = field(repr=False)
    config: Config = field(repr=False)

    @property
    def manifest_digest(self) -> Digest:
        """The digest of the manifest."""
        return self.descriptor.digest

    @property
    def id(self) -> Digest:
        """The image's id: the digest of its config."""
        return self.manifest.config.digest

    @property
    def size(self) -> int:
        """Bytes of its layers as they are kept, perhaps compressed."""
        return sum(layer.size for layer in self.manifest.layers)

    @property
    def shown(self) -> str:
        """What to call it in a message."""
        return self.names[0].familiar if self.names else self.id.hex[:12]


@dataclass(frozen=True)
class DamagedImage:
    """An entry of the index whose documents are missing or wrong."""

    descriptor: Descriptor
    names: tuple[Reference, ...]
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """All images at one moment."""

    images: tuple[StoredImage, ...]
    damaged: tuple[DamagedImage, ...] = ()

    @cached_property
    def by_name(self) -> dict[Reference | None, StoredImage]:
        """The image of each name."""
        return {name: image for image in self.images for name in image.names}

    def find(self, argument: str) -> StoredImage:
        """Give the image that a user means: by name, by ``name@digest``, by id or by the beginning of an id.

        A name is tried before the beginning of an id, as docker does.

        Raises:
            StoreError: there is none, or an id begins so for several.
            ImageError: it is none of these.
        """
        by_name, refusal = self._by_name(argument)
        if by_name is not None:
            return by_name
        match = _ID_PREFIX.fullmatch(argument)
        found = {} if match is None else {image.id: image for image in self._beginning(match[1])}
        if len(found) > 1:
            raise StoreError(f"{shown(argument)} is ambiguous: the ids of {len(found)} images begin so")
        if found:
            return next(iter(found.values()))
        if refusal is not None and match is None:
            raise refusal
        self._refuse_damaged(argument)
        raise StoreError(f"no such image: {shown(argument)}; 'unionfs images' lists those that there are")

    def _by_name(self, argument: str) -> tuple[StoredImage | None, ImageError | None]:
        try:
            reference = Reference.parse(argument)
        except ImageError as error:
            return None, error
        if reference.digest is None:
            return self.by_name.get(reference) or self.by_name.get(_local(argument)), None
        for image in self.images:
            if image.manifest_digest == reference.digest and (
                not image.names or any(name.repository == reference.repository for name in image.names)
            ):
                return image, None
        return None, None

    def _beginning(self, text: str) -> Iterable[StoredImage]:
        whole = [image for image in self.images if image.manifest_digest.hex == text]
        return whole or [image for image in self.images if image.id.hex.startswith(text)]

    def _refuse_damaged(self, argument: str) -> None:
        for image in self.damaged:
            if argument in {text for name in image.names for text in (str(name), name.familiar)}:
                raise StoreError(f"{argument} is damaged: {image.reason}; 'unionfs check --repair' removes it")


def _local(argument: str) -> Reference | None:
    """Give the name that podman gives an image made on this machine, if *argument* may be a short form of it."""
    try:
        return Reference.parse(f"localhost/{argument}")
    except ImageError:
        return None


class Images:
    """The index of a store."""

    def __init__(self, layout: StoreLayout, blobs: Blobs) -> None:
        self._layout = layout
        self._blobs = blobs

    def entries(self) -> tuple[Descriptor, ...]:
        """Give the entries of the index.

        Raises:
            ImageError: it isn't one.
        """
        return Index.read(self._layout.read(_INDEX_FILE)).manifests

    def catalogue(self) -> Catalogue:
        """Read all images. One whose documents are wrong doesn't keep the others from being used."""
        described: dict[Digest, list[Descriptor]] = {}
        for entry in self.entries():
            if is_image(entry) and entry.media_type not in INDEXES:
                described.setdefault(entry.digest, []).append(entry)
        images: list[StoredImage] = []
        damaged: list[DamagedImage] = []
        for entries in described.values():
            called = tuple(name for entry in entries if (name := name_of(entry)) is not None)
            try:
                images.append(StoredImage(entries[0], called, *self.documents(entries[0])))
            except (ImageError, OSError) as error:
                damaged.append(DamagedImage(entries[0], called, str(error)))
        return Catalogue(tuple(images), tuple(damaged))

    def documents(self, descriptor: Descriptor) -> tuple[Manifest, Config]:
        """Read the manifest that a descriptor leads to, and its config, and verify both.

        Raises:
            ImageError, ArchiveError: one is missing or wrong.
        """
        manifest = Manifest.read(self.document(descriptor, "manifest"), descriptor.media_type)
        manifest.check_runnable()
        return manifest, Config.read(self.document(manifest.config, "image config"))

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether the document that a descriptor leads to is there."""
        return self._blobs.has(descriptor)

    def document(self, descriptor: Descriptor, what: str) -> bytes:
        """Read a small blob, and verify it."""
        with self._blobs.open(descriptor.digest) as window:
            if window.size != descriptor.size:
                raise ArchiveError(f"{what} {descriptor.digest} has {window.size} bytes instead of {descriptor.size}")
            content = window.read()
        descriptor.check(content, f"{what} {descriptor.digest}")
        return content

    def change(self, change: Callable[[Sequence[Descriptor]], Iterable[Descriptor]]) -> None:
        """Change the entries of the index, at once. The content lock is held."""
        with self._layout.changing_names():
            before = self.entries()
            after = tuple(change(before))
            if after != before:
                self._layout.write(_INDEX_FILE, index_bytes(after))


def name_of(entry: Descriptor) -> Reference | None:
    """Give the name in an entry of the index; what other programs write there may be none."""
    text = entry.annotations.get(names.REF_NAME)
    try:
        reference = None if text is None else Reference.parse(text)
    except ImageError:
        return None
    return reference if str(reference) == text else None


def named(entries: Sequence[Descriptor], image: Descriptor, new: Sequence[Reference]) -> list[Descriptor]:
    """Give the entries after *image* got the names *new*; another image that had one of them stays, without it."""
    others = unnamed(without(entries, {image.digest}), set(new), keeping=True)
    its_own = [entry for entry in entries if entry.digest == image.digest]
    called = dict.fromkeys([*(name for entry in its_own if (name := name_of(entry)) is not None), *new])
    return [*others, *(_entry(image, name) for name in called or [None])]


def unnamed(entries: Sequence[Descriptor], gone: set[Reference], *, keeping: bool) -> list[Descriptor]:
    """Give the entries without the names *gone*; with *keeping* an image stays that has lost its last one."""
    kept = [entry for entry in entries if name_of(entry) not in gone]
    left = {entry.digest for entry in kept}
    lost = {entry.digest: entry for entry in entries if entry.digest not in left}
    return [*kept, *(_entry(entry, None) for entry in lost.values())] if keeping else kept


def without(entries: Sequence[Descriptor], gone: set[Digest]) -> list[Descriptor]:
    """Give the entries that have none of the digests *gone*."""
    return [entry for entry in entries if entry.digest not in gone]


def _entry(image: Descriptor, name: Reference | None) -> Descriptor:
    others = {key: value for key, value in image.annotations.items() if key != names.REF_NAME}
    return replace(image, annotations=others if name is None else {**others, names.REF_NAME: str(name)})
