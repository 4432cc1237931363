"""Images in files and directories: docker archives and OCI layouts, compressed or not.

It finds an image and gives its documents, checked, and its layers' blobs, as they are stored.
``VerifyingReader`` checks a blob while it is read and ``decompress`` undoes its compression; unpacking it
is not this package's business, and neither is where it is kept. What writes images is in ``writing``, which
is imported by itself. Imports the packages ``image`` and ``tar``
alone.
"""

from unionfs.archive.decompress import decompress
from unionfs.archive.error import ArchiveError
from unionfs.archive.images import Image, ImageRef, Layer
from unionfs.archive.limits import Limits
from unionfs.archive.read_ahead import ReadAhead
from unionfs.archive.source import Archive, open_archive, open_stream, parse_source
from unionfs.archive.verify import VerifyingReader

__all__ = [
    "Archive",
    "ArchiveError",
    "Image",
    "ImageRef",
    "Layer",
    "Limits",
    "ReadAhead",
    "VerifyingReader",
    "decompress",
    "open_archive",
    "open_stream",
    "parse_source",
]
