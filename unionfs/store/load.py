"""An image comes into the store: its blobs, its unpacked layers, its documents; all verified, or nothing of it.

Each layer's blob is copied first, and verified while its copy is unpacked; so what gets its name is what was verified,
whatever happens to the source meanwhile. The content lock is held by whoever calls, who also gives the image its names.
"""

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass, replace

from unionfs.archive import Image, Layer, decompress
from unionfs.archive.blob_type import layer_type
from unionfs.archive.stream import CHUNK
from unionfs.image import Descriptor, Digest, Manifest
from unionfs.image import media_type as types
from unionfs.image.build import manifest_bytes
from unionfs.store.blobs import Blobs, StagedBlob
from unionfs.store.layer_stream import LayerStream
from unionfs.store.layout import LAYERS, StoreLayout
from unionfs.store.locks import Waiting
from unionfs.store.unpack import Progress, Unpacked, naming_layer, unpack_image
from unionfs.tar import Limits


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image that has come in."""

    manifest: Descriptor
    unpacked: Unpacked


def load(
    layout: StoreLayout, blobs: Blobs, image: Image, limits: Limits, progress: Progress, waiting: Waiting
) -> Loaded:
    """Take *image* in, without a name.

    Raises:
        StoreError, ArchiveError: something of it is damaged, missing, or isn't what its digest says.
        OSError: there is no room, or the store can't be written.
    """
    with ExitStack() as staging:
        incoming = _Incoming(image, blobs, limits, staging)
        layers = tuple(map(incoming.take, image.layers))
        unpacked = unpack_image(replace(image, layers=layers), layout.path / LAYERS, limits, progress, waiting)
        for layer, found in zip(layers, unpacked.layers, strict=True):
            if not found.is_new:
                incoming.verify(layer)
        incoming.keep()
        return Loaded(_keep_documents(blobs, image, layers), unpacked)


def _keep_documents(blobs: Blobs, image: Image, layers: tuple[Layer, ...]) -> Descriptor:
    """Keep config and manifest; an image that came without a manifest gets one."""
    blobs.add(image.config.raw, image.config_digest)
    content = image.manifest
    if content is None:
        config = Descriptor(types.OCI_CONFIG, image.config_digest, len(image.config.raw))
        content = manifest_bytes(config, [layer.descriptor for layer in layers if layer.descriptor is not None])
    digest = image.manifest_digest or Digest.of(content)
    blobs.add(content, digest)
    return Descriptor(Manifest.read(content).media_type, digest, len(content))


class _Incoming:
    """The layers of one image whose blobs aren't in the store yet; each blob is copied once."""

    def __init__(self, image: Image, blobs: Blobs, limits: Limits, staging: ExitStack) -> None:
        self._image = image
        self._blobs = blobs
        self._limits = limits
        self._staging = staging
        self._taken: dict[Digest, Layer] = {}
        self._staged: dict[Digest, StagedBlob] = {}

    def take(self, layer: Layer) -> Layer:
        """Give the layer as it is to be unpacked: from the store, or from its copy."""
        key = layer.diff_id if layer.descriptor is None else layer.descriptor.digest
        if key not in self._taken:
            with naming_layer(self._image, layer):
                self._taken[key] = self._take(layer)
        known = self._taken[key]
        return replace(layer, descriptor=known.descriptor, opener=known.opener)

    def _take(self, layer: Layer) -> Layer:
        if layer.descriptor is not None and self._blobs.has(layer.descriptor):
            digest = layer.descriptor.digest
            return replace(layer, descriptor=self._typed(layer.descriptor), opener=lambda: self._blobs.open(digest))
        with layer.open() as blob:
            kind = layer_type(blob)
            staged = self._staging.enter_context(self._blobs.staging(None if kind is None else blob))
            if not staged.size:
                staged.fill(decompress(blob, self._limits.bytes) if kind is None else blob)
        descriptor = self._described(staged, layer, kind)
        self._staged[descriptor.digest] = staged
        return replace(layer, descriptor=descriptor, opener=staged.open)

    @staticmethod
    def _described(staged: StagedBlob, layer: Layer, kind: str | None) -> Descriptor:
        """Describe a copied blob; what the image-spec has no type for was copied as a plain tar archive."""
        if layer.descriptor is not None and kind is not None:
            return replace(layer.descriptor, media_type=kind)
        digest = _digest(staged) if kind not in (None, types.OCI_LAYER) else layer.diff_id
        return Descriptor(kind or types.OCI_LAYER, digest, staged.size)

    def _typed(self, descriptor: Descriptor) -> Descriptor:
        """Say what a blob of the store is; an archive of docker's tells digests without types."""
        with self._blobs.open(descriptor.digest) as blob:
            return replace(descriptor, media_type=layer_type(blob) or descriptor.media_type)

    def verify(self, layer: Layer) -> None:
        """Read a copied blob to its end, since it wasn't unpacked: its layer was there already."""
        if layer.descriptor is None or layer.descriptor.digest not in self._staged:
            return
        with (
            naming_layer(self._image, layer),
            LayerStream(layer, self._limits.bytes, lambda *_: None) as stream,
        ):
            while stream.read(CHUNK):
                pass
            stream.verify()

    def keep(self) -> None:
        """Give the copies their names."""
        for digest, staged in self._staged.items():
            self._blobs.keep(staged, digest)


def _digest(staged: StagedBlob) -> Digest:
    with staged.open() as blob:
        return Digest("sha256", hashlib.file_digest(blob, "sha256").hexdigest())
