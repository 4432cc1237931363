"""Making manifests and indexes: bytes from the descriptors of what they list.

The bytes are a function of the arguments alone, so the same image always has the same digest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from unionfs.image import media_type as types
from unionfs.image.canonical_json import encoded
from unionfs.image.descriptor import Descriptor

_DOCKER_KIND = {
    types.OCI_LAYER: types.DOCKER_LAYER,
    types.OCI_LAYER_GZIP: types.DOCKER_LAYER_GZIP,
    types.OCI_LAYER_ZSTD: types.DOCKER_LAYER_ZSTD,
}
_OCI_KIND = {docker: oci for oci, docker in _DOCKER_KIND.items()}


def manifest_bytes(
    config: Descriptor, layers: Sequence[Descriptor], annotations: Mapping[str, str] | None = None
) -> bytes:
    """Return the manifest of an image, its layers given lowest first.

    It is of OCI's kind or of docker's (schema 2) as its config is, and the layers' types become so. Raises ImageError
    if an annotation is no UTF-8.
    """
    return encoded(
        {
            "schemaVersion": 2,
            "mediaType": manifest_type(config.media_type),
            "config": config.as_json(),
            "layers": [_of_kind(layer, config.media_type).as_json() for layer in layers],
            **_annotations(annotations),
        },
        "manifest",
    )


def index_bytes(manifests: Sequence[Descriptor], annotations: Mapping[str, str] | None = None) -> bytes:
    """Return an OCI index of ``manifests``; raises ImageError if an annotation is no UTF-8."""
    return encoded(
        {
            "schemaVersion": 2,
            "mediaType": types.OCI_INDEX,
            "manifests": [manifest.as_json() for manifest in manifests],
            **_annotations(annotations),
        },
        "image index",
    )


def manifest_type(config_type: str) -> str:
    """Return the media type of the manifest of a config of the type ``config_type``."""
    return types.DOCKER_MANIFEST if config_type == types.DOCKER_CONFIG else types.OCI_MANIFEST


def _of_kind(layer: Descriptor, config_type: str) -> Descriptor:
    """Return a layer's descriptor with the type that its kind of compression has beside a config of ``config_type``."""
    kind = _DOCKER_KIND if config_type == types.DOCKER_CONFIG else _OCI_KIND
    return replace(layer, media_type=kind.get(layer.media_type, layer.media_type))


def _annotations(annotations: Mapping[str, str] | None) -> dict[str, object]:
    """Return the field, which is left out where there are none; the order in which they were given doesn't count."""
    return {"annotations": dict(sorted(annotations.items()))} if annotations else {}
