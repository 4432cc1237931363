"""The fixed names of an OCI image layout and its ``oci-layout`` file."""

from unionfs.image.digest import Digest
from unionfs.image.error import ImageError, shown
from unionfs.image.strict_json import Fields, parse

MARKER = "oci-layout"
INDEX = "index.json"
VERSION = "1.0.0"

REF_NAME = "org.opencontainers.image.ref.name"
"""Annotation of an index entry: a tag, or by custom a full name."""

CONTAINERD_NAME = "io.containerd.image.name"
"""Annotation of an index entry by containerd and docker: the full name."""


def blob_path(digest: Digest) -> str:
    """Return a blob's path in a layout."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def check_marker(data: bytes) -> None:
    """Raise ImageError unless this is the oci-layout file of the one known version."""
    version = Fields(parse(data, MARKER), MARKER).required_text("imageLayoutVersion")
    if version != VERSION:
        raise ImageError(f"{MARKER}: imageLayoutVersion {shown(version)} is not supported, only {VERSION} is")
