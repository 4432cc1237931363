"""OCI image layouts, in a directory or a tar archive: an index.json and the blobs it leads to."""

from collections.abc import Iterable
from functools import partial

from unionfs.archive.error import ArchiveError
from unionfs.archive.files import Files, read_document
from unionfs.archive.images import Image, ImageRef, Layer, check_layer_count, position
from unionfs.archive.limits import Limits
from unionfs.image import Config, Descriptor, Digest, ImageError, Index, Manifest, Platform, Reference, resolve, shown
from unionfs.image import layout as names
from unionfs.image.index import is_image
from unionfs.image.media_type import FOREIGN_LAYERS, SCHEMA1
from unionfs.image.reference import is_tag


class Layout:
    """The images that an index.json lists. Entries with one digest are one image, with the names of all of them."""

    def __init__(self, files: Files, limits: Limits) -> None:
        """Read the list; raises ImageError if the layout's version or its index is not as the image-spec says."""
        self._files = files
        self._limits = limits
        names.check_marker(read_document(files, names.MARKER, limits, "manifest"))
        content = read_document(files, names.INDEX, limits, "manifest")
        self._entries = Index.read(content, None, limits.documents).manifests
        self.images = self._list()

    def image(self, selector: str | None, platform: Platform, /) -> Image:
        """Return the selected image, where an index leaves a choice the one for ``platform``; raises ImageError."""
        root = self._entries[self._find(selector)]
        chosen = resolve(root, self._index, platform, self._limits.documents)
        content = self._blob(chosen, "manifest", "manifest")
        manifest = Manifest.read(content, chosen.media_type, self._limits.documents)
        manifest.check_runnable()
        config = Config.read(self._blob(manifest.config, "image config", "config"), self._limits.documents)
        check_layer_count(config, len(manifest.layers), self._limits)
        for layer in {(layer.digest, layer.size): layer for layer in manifest.layers}.values():
            self._check_present(layer)
        layers = tuple(
            Layer(diff_id, chain_id, layer, partial(self._files.open, names.blob_path(layer.digest)))
            for layer, diff_id, chain_id in zip(manifest.layers, config.diff_ids, config.chain_ids, strict=True)
        )
        listed = next((image.names for image in self.images if self._digest(image.index) == root.digest), ())
        return Image(listed, config, manifest.config.digest, chosen.digest, content, layers)

    def _list(self) -> tuple[ImageRef, ...]:
        places: dict[Digest, list[int]] = {}
        for number, entry in enumerate(self._entries):
            # One of docker's schema 1 is listed, so that asking for it says what is wrong with it.
            if is_image(entry) or entry.media_type in SCHEMA1:
                places.setdefault(entry.digest, []).append(number)
        return tuple(
            ImageRef(
                index=numbers[0],
                names=_distinct(listed_name(self._entries[number]) for number in numbers),
                tags=_distinct(_tag(self._entries[number]) for number in numbers),
            )
            for numbers in places.values()
        )

    def _find(self, selector: str | None) -> int:
        """Return the place of the entry that a selector means."""
        if selector is None:
            if len(self.images) > 1:
                raise ArchiveError("more than one image in oci, choose an image by its name or @N")
            if not self.images:
                raise ArchiveError(f"no image in {names.INDEX}")
            return self.images[0].index
        number = position(selector, len(self._entries))
        return self._named(selector) if number is None else number

    def _named(self, selector: str) -> int:
        """Return the place of the entry whose annotation is ``selector`` itself or the same name in full form."""
        numbers = range(len(self._entries))
        found = [number for number in numbers if self._entries[number].annotations.get(names.REF_NAME) == selector]
        if not found:
            name = _full_name(selector)
            found = [number for number in numbers if name is not None and listed_name(self._entries[number]) == name]
        if not found:
            raise ArchiveError(f"no descriptor found for reference {shown(selector)}")
        if len({self._digest(number) for number in found}) > 1:
            raise ArchiveError(f"reference {shown(selector)} is ambiguous: {len(found)} descriptors have it")
        return found[0]

    def _digest(self, number: int) -> Digest:
        return self._entries[number].digest

    def _index(self, descriptor: Descriptor) -> bytes:
        return self._blob(descriptor, "image index", "manifest")

    def _blob(self, descriptor: Descriptor, what: str, limit: str) -> bytes:
        """Return a document, checked against its descriptor."""
        self._limits.documents.check_size(what, descriptor.size, limit)
        content = read_document(self._files, names.blob_path(descriptor.digest), self._limits, limit)
        descriptor.check(content, f"{what} {descriptor.digest}")
        return content

    def _check_present(self, layer: Descriptor) -> None:
        """Raise ArchiveError unless the layer's blob is there in the size it should have."""
        try:
            with self._files.open(names.blob_path(layer.digest)) as window:
                size = window.size
        except ArchiveError as error:
            if layer.media_type in FOREIGN_LAYERS and layer.urls:
                raise ArchiveError(f"{error}; this foreign layer is to be had from {shown(layer.urls[0])}") from None
            raise
        if size != layer.size:
            raise ArchiveError(f"layer {layer.digest} has {size} bytes, but its descriptor says {layer.size}")


def listed_name(entry: Descriptor) -> str | None:
    """Return an entry's full name; a bare tag isn't one, and neither is whatever else the image-spec lets it be."""
    stated = entry.annotations.get(names.CONTAINERD_NAME)
    if stated is not None:
        reference = Reference.parse(stated)
        if reference.digest not in (None, entry.digest):
            raise ArchiveError(f"{names.CONTAINERD_NAME} {shown(stated)} has a digest that isn't that of its entry")
        return str(reference)
    by_custom = entry.annotations.get(names.REF_NAME)
    name = None if by_custom is None or is_tag(by_custom) else _full_name(by_custom)
    return None if name is None or Reference.parse(name).digest not in (None, entry.digest) else name


def _tag(entry: Descriptor) -> str | None:
    """Return the annotation that selects an entry without being its name."""
    text, name = entry.annotations.get(names.REF_NAME), listed_name(entry)
    says_the_name = text is not None and name is not None and _full_name(text) == name
    return None if says_the_name else text


def _full_name(text: str) -> str | None:
    try:
        return str(Reference.parse(text))
    except ImageError:
        return None


def _distinct(texts: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text is not None))
