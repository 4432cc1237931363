"""What an image format needs of the place where its files are: a tar archive or a directory."""

import io
from typing import Protocol

from unionfs.archive.error import ArchiveError
from unionfs.archive.limits import Limits
from unionfs.archive.stream import Window
from unionfs.image import shown


class Files(Protocol):
    """Files by their path from the top, with slashes between its parts."""

    def open(self, path: str) -> Window:
        """Return a regular file's content; raises ArchiveError if there is none or it lies outside."""
        ...

    def top_names(self) -> set[str]:
        """Return the first part of every path."""
        ...

    def close(self) -> None:
        """Release what is held; windows that are open stay good."""
        ...


def read_document(files: Files, path: str, limits: Limits, limit: str) -> bytes:
    """Return the whole of a small file, of no more bytes than that field of ``limits.documents`` allows."""
    with files.open(path) as window:
        limits.documents.check_size(shown(path), window.size, limit)
        # A directory's file may shrink meanwhile; what it held is then not known.
        content = io.BufferedReader(window).read(window.size)
    if len(content) != window.size:
        raise ArchiveError(f"{shown(path)} was cut short while it was read")
    return content
