"""Making manifests and indexes: bytes from the descriptors of what they list.

The bytes are a function of the arguments alone, so the same image always has the same digest.
"""

from collections.abc import Mapping, Sequence

from unionfs.image import media_type as types
from unionfs.image.canonical_json import encoded
from unionfs.image.descriptor import Descriptor


def manifest_bytes(
    config: Descriptor, layers: Sequence[Descriptor], annotations: Mapping[str, str] | None = None
) -> bytes:
    """Return the manifest of an image, its layers given lowest first.

    It is of OCI's kind or of docker's (schema 2) as its config is. Raises ImageError if an annotation is no UTF-8.
    """
    return encoded(
        {
            "schemaVersion": 2,
            "mediaType": manifest_type(config.media_type),
            "config": config.as_json(),
            "layers": [layer.as_json() for layer in layers],
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


def layer_type(config_type: str, compression: str = "") -> str:
    """Return the media type of a layer beside a config of the type ``config_type``.

    ``compression`` is ``gzip``, ``zstd`` or empty.
    """
    plain, mark = (types.DOCKER_LAYER, ".") if config_type == types.DOCKER_CONFIG else (types.OCI_LAYER, "+")
    return f"{plain}{mark}{compression}" if compression else plain


def _annotations(annotations: Mapping[str, str] | None) -> dict[str, object]:
    """Return the field, which is left out where there are none; the order in which they were given doesn't count."""
    return {"annotations": dict(sorted(annotations.items()))} if annotations else {}
