"""Writing images: a docker archive, an OCI archive or an OCI layout directory, from images of any source.

It owns which files such an image becomes and how they get to their place whole. The documents' content is the
business of ``image``, and where images come from that of whoever reads them. ``gathered`` is where to begin; the
same images in the same order always become the same bytes.
"""

from unionfs.archive.writing.blobs import Blob, StoredLayer, stored_layer
from unionfs.archive.writing.compression import Compression, compressing
from unionfs.archive.writing.contents import Contents, SavedImage, gathered, image_manifest
from unionfs.archive.writing.layout_directory import write_layout
from unionfs.archive.writing.replacing import output
from unionfs.archive.writing.tar_archive import Form, write_archive

__all__ = [
    "Blob",
    "Compression",
    "Contents",
    "Form",
    "SavedImage",
    "StoredLayer",
    "compressing",
    "gathered",
    "image_manifest",
    "output",
    "stored_layer",
    "write_archive",
    "write_layout",
]
