"""The media type of a layer's blob, told by its first bytes where nothing states it."""

from unionfs.archive import gzip_member, zstd_frames
from unionfs.archive.decompress import is_compressed
from unionfs.archive.stream import Window
from unionfs.image import media_type as types

_ENOUGH = 16


def layer_type(blob: Window) -> str | None:
    """Return OCI's media type for a blob, None for a compression that the image-spec has no layer type for."""
    start = blob.read(_ENOUGH)
    blob.seek(0)
    if start.startswith(gzip_member.MAGIC):
        return types.OCI_LAYER_GZIP
    if zstd_frames.is_frame(start):
        return types.OCI_LAYER_ZSTD
    compressed = is_compressed(blob)
    blob.seek(0)
    return None if compressed else types.OCI_LAYER
