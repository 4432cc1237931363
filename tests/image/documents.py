"""Image documents as the tests need them: right by default, wrong where a test says so."""

import hashlib
import json
from typing import Any

from unionfs.image import Platform
from unionfs.image import media_type as types

Fields = dict[str, Any]


def encoded(document: object) -> bytes:
    """Return a document as JSON."""
    return json.dumps(document).encode()


def sha256(content: bytes) -> str:
    """Return a digest's text, computed without the code under test."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def descriptor(content: bytes, media_type: str, **more: object) -> Fields:
    """Return a descriptor of ``content``; ``more`` fields are added or take the place of others."""
    return {"mediaType": media_type, "digest": sha256(content), "size": len(content), **more}


def config(diff_ids: list[str], **more: object) -> Fields:
    """Return an image config for this machine."""
    return {
        "architecture": Platform.host().architecture,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        **more,
    }


def manifest(config_content: bytes, layers: list[bytes], /, **more: object) -> Fields:
    """Return an OCI manifest of a config and plain layers."""
    return {
        "schemaVersion": 2,
        "mediaType": types.OCI_MANIFEST,
        "config": descriptor(config_content, types.OCI_CONFIG),
        "layers": [descriptor(layer, types.OCI_LAYER) for layer in layers],
        **more,
    }


def index(entries: list[Fields], **more: object) -> Fields:
    """Return an OCI index."""
    return {"schemaVersion": 2, "mediaType": types.OCI_INDEX, "manifests": entries, **more}


def platform(text: str, **more: object) -> Fields:
    """Return an index entry's platform written as ``os/architecture[/variant]``."""
    names = dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))
    return {**names, **more}
