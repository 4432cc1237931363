"""Docker archives, as ``docker save`` and ``podman save`` write them: a manifest.json and what it names."""

import re
from functools import partial

from unionfs.archive.error import ArchiveError
from unionfs.archive.files import Files, read_document
from unionfs.archive.images import Image, ImageRef, Layer, check_layer_count, position
from unionfs.archive.limits import Limits
from unionfs.image import Config, Descriptor, Digest, Platform, Reference, shown
from unionfs.image.docker_archive import read_items
from unionfs.image.media_type import OCI_LAYER

MANIFEST = "manifest.json"
_BLOB = re.compile(r"blobs/([a-z0-9]+)/([0-9a-f]+)")


class DockerArchive:
    """The images that a manifest.json lists."""

    def __init__(self, files: Files, limits: Limits) -> None:
        """Read the list; raises ImageError if it isn't one of at least one image."""
        self._files = files
        self._limits = limits
        self._items = read_items(read_document(files, MANIFEST, limits, "archive_manifest"), limits.documents)
        self.images = tuple(ImageRef(number, tuple(map(str, item.names))) for number, item in enumerate(self._items))

    def image(self, selector: str | None, _platform: Platform, /) -> Image:
        """Return the selected image, whatever platform it is for; raises ImageError."""
        item = self._items[self._find(selector)]
        content = read_document(self._files, item.config, self._limits, "config")
        digest = _blob_digest(item.config)
        if digest is not None and not digest.matches(content):
            raise ArchiveError(f"{shown(item.config)} does not match its digest")
        config = Config.read(content, self._limits.documents)
        check_layer_count(config, len(item.layers), self._limits)
        descriptors = {path: self._descriptor(path) for path in dict.fromkeys(item.layers)}
        layers = tuple(
            Layer(diff_id, chain_id, descriptors[path], partial(self._files.open, path))
            for path, diff_id, chain_id in zip(item.layers, config.diff_ids, config.chain_ids, strict=True)
        )
        return Image(tuple(map(str, item.names)), config, config.digest, None, None, layers)

    def _find(self, selector: str | None) -> int:
        if selector is None:
            if len(self._items) > 1:
                raise ArchiveError(f"Unexpected tar manifest.json: expected 1 item, got {len(self._items)}")
            return 0
        number = position(selector, len(self._items))
        if number is not None:
            return number
        name = Reference.parse(selector)
        found = [number for number, item in enumerate(self._items) if name in item.names]
        if not found:
            raise ArchiveError(f"Tag {shown(str(name))} not found")
        if len(found) > 1:
            raise ArchiveError(f"Tag {shown(str(name))} is ambiguous: {len(found)} images have it")
        return found[0]

    def _descriptor(self, path: str) -> Descriptor | None:
        """Return digest and size of a layer that is there, if its path is that of a blob and so tells the digest."""
        with self._files.open(path) as window:
            size = window.size
        digest = _blob_digest(path)
        return None if digest is None else Descriptor(OCI_LAYER, digest, size)


def _blob_digest(path: str) -> Digest | None:
    match = _BLOB.fullmatch(path)
    if match is None:
        return None
    return Digest(match[1], match[2])
