"""Images as one tar archive: the documents first, then every blob."""

import enum
import io
from collections.abc import Iterator
from types import MappingProxyType

from unionfs.archive.docker_archive import MANIFEST
from unionfs.archive.writing import documents
from unionfs.archive.writing.blobs import Copied
from unionfs.archive.writing.contents import Contents
from unionfs.image import layout as names
from unionfs.tar import Entry, Kind, Writer
from unionfs.tar.writer import Sink


class Form(enum.Enum):
    """What the archive is for: docker's is an OCI archive with a manifest.json besides, as docker 25 writes it."""

    DOCKER_ARCHIVE = "docker-archive"
    OCI_ARCHIVE = "oci-archive"


def write_archive(contents: Contents, form: Form, sink: Sink, copied: Copied) -> None:
    """Write the archive; every blob is checked before its last byte is written.

    ``copied`` is told the bytes of each piece. Raises ArchiveError for a damaged blob, after which what was written
    is no whole archive; what ``sink`` raises passes through.
    """
    writer = Writer(sink)
    for path, document in _documents(contents, form):
        writer.add(_member(path, len(document)), io.BytesIO(document))
    for blob in contents.blobs:
        with blob.reading(copied) as content:
            writer.add(_member(names.blob_path(blob.digest), blob.size), content)
    writer.finish()


def _documents(contents: Contents, form: Form) -> Iterator[tuple[str, bytes]]:
    yield names.MARKER, documents.marker()
    yield names.INDEX, documents.index(contents)
    if form is Form.DOCKER_ARCHIVE:
        yield MANIFEST, documents.docker_list(contents)


def _member(path: str, size: int) -> Entry:
    """Return the header of a file, in which nothing depends on time and place."""
    return Entry(
        name=path.encode(),
        kind=Kind.FILE,
        mode=0o644,
        uid=0,
        gid=0,
        size=size,
        mtime_ns=0,
        atime_ns=None,
        linkname=b"",
        devmajor=0,
        devminor=0,
        xattrs=MappingProxyType({}),
        sparse=None,
    )
