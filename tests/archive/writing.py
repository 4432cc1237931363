"""Writes images as the code under test does, for the tests of it."""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from tests.archive.build import Files, tar
from unionfs.archive import Image, open_archive
from unionfs.archive.writing import Compression, Contents, Form, compressing, gathered, write_archive


def ignore(_count: int) -> None:
    """Leave unused how much has been copied."""


def written(contents: Contents, form: Form = Form.DOCKER_ARCHIVE, compression: Compression = Compression.NONE) -> bytes:
    """Return the archive of these contents."""
    out = io.BytesIO()
    with compressing(out, compression) as sink:
        write_archive(contents, form, sink, ignore)
    return out.getvalue()


def saved(images: Iterable[Image], form: Form = Form.DOCKER_ARCHIVE) -> bytes:
    """Return the archive of these images."""
    return written(gathered(images), form)


def resaved(path: Path, form: Form, *selectors: str | None) -> bytes:
    """Return the archive of images of the source at ``path``, by default of its only one."""
    with open_archive(path) as archive:
        return saved([archive.image(selector) for selector in selectors or (None,)], form)


def files(archive: bytes) -> Files:
    """Return an archive's files, read without the code under test."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        members = {member.name: opened.extractfile(member) for member in opened}
        return {name: content.read() for name, content in members.items() if content is not None}


def damaged(files: Files, path: str) -> bytes:
    """Return the files as an archive in which the last byte of one is another one."""
    content = files[path]
    return tar({**files, path: content[:-1] + bytes([content[-1] ^ 1])})
