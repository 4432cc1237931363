"""What a set of images consists of: each image by its digests, and every blob once."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from unionfs.archive.error import ArchiveError
from unionfs.archive.images import Image
from unionfs.archive.writing.blobs import Blob, StoredLayer, stored_layer
from unionfs.image import Descriptor, Digest, Manifest, shown
from unionfs.image.build import manifest_bytes
from unionfs.image.media_type import OCI_CONFIG, OCI_MANIFEST


@dataclass(frozen=True, slots=True)
class SavedImage:
    """One image as the documents of an archive speak of it."""

    names: tuple[str, ...]
    """Full names, such as ``docker.io/library/foo:1``."""
    manifest: Descriptor
    config: Digest
    layers: tuple[Digest, ...]
    """The blobs' digests, the lowest layer's first."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Images in the order in which they were given, and all that they consist of."""

    images: tuple[SavedImage, ...]
    blobs: tuple[Blob, ...]
    """Each blob once: of each image the manifest, the config and the layers that no image before it has."""

    @property
    def size(self) -> int:
        """The bytes of all blobs."""
        return sum(blob.size for blob in self.blobs)


def gathered(images: Iterable[Image]) -> Contents:
    """Return what ``images`` consist of; images with one manifest are one, with the names of all of them.

    A manifest is kept byte for byte; an image that has none gets one (see ``image_manifest``). The images' source
    must stay open while the contents are used. Raises ArchiveError if a name is that of two images or a layer is
    damaged, and OSError.
    """
    found: dict[Digest, SavedImage] = {}
    blobs: dict[Digest, Blob] = {}
    owners: dict[str, Digest] = {}
    for image in images:
        saved, own = _described(image)
        key = saved.manifest.digest
        for name in saved.names:
            if owners.setdefault(name, key) != key:
                raise ArchiveError(f"two images have the name {shown(name)}")
        before = found.get(key)
        names = dict.fromkeys((*(before.names if before else ()), *saved.names))
        found[key] = replace(saved, names=tuple(names))
        for blob in own:
            blobs.setdefault(blob.digest, blob)
    return Contents(tuple(found.values()), tuple(blobs.values()))


def image_manifest(config: bytes, layers: Sequence[Descriptor]) -> bytes:
    """Return the OCI manifest of an image whose source has none: the same for the same config and layers."""
    return manifest_bytes(Descriptor(OCI_CONFIG, Digest.of(config), len(config)), layers)


def _described(image: Image) -> tuple[SavedImage, list[Blob]]:
    """Return an image as its manifest describes it, and its blobs."""
    if image.manifest is None:
        stored = {layer.diff_id: stored_layer(layer) for layer in image.layers}
        layers = [stored[layer.diff_id] for layer in image.layers]
        document = image_manifest(image.config.raw, [layer.descriptor for layer in layers])
        digest = Digest.of(document)
        manifest = Manifest.read(document, OCI_MANIFEST)
    else:
        document = image.manifest
        digest = image.manifest_digest or Digest.of(document)
        manifest = Manifest.read(document)
        layers = [
            StoredLayer(descriptor, layer.open) for descriptor, layer in zip(manifest.layers, image.layers, strict=True)
        ]
    saved = SavedImage(
        names=image.names,
        manifest=Descriptor(manifest.media_type, digest, len(document)),
        config=manifest.config.digest,
        layers=tuple(layer.descriptor.digest for layer in layers),
    )
    blobs = [
        Blob(digest, len(document), partial(io.BytesIO, document), "manifest"),
        Blob(manifest.config.digest, manifest.config.size, partial(io.BytesIO, image.config.raw), "image config"),
        *(Blob(layer.descriptor.digest, layer.descriptor.size, layer.opener, "layer") for layer in layers),
    ]
    return saved, blobs
