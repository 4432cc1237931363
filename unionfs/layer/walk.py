"""The directories of a layer as they lie on disk, with nothing decoded."""

import os
from collections.abc import Iterator

from unionfs.layer.directory import Directory


def listing(directory: Directory) -> "list[os.DirEntry[bytes]]":
    """Give the raw entries of *directory*.

    Raises:
        OSError: it can't be read.
    """
    with os.scandir(directory.path()) as entries:
        return list(entries)


def walk(root: Directory) -> Iterator[Directory]:
    """Give *root* and every directory beneath it, each before those in it; what is made meanwhile may be left out.

    Raises:
        OSError: a directory can't be read.
    """
    pending = [root]
    while pending:
        directory = pending.pop()
        beneath = [entry.name for entry in listing(directory) if entry.is_dir(follow_symlinks=False)]
        yield directory
        pending += [directory.child(name) for name in beneath]


def path_of(directory: Directory, name: bytes = b"") -> bytes:
    """Give the path of *name* in *directory*, or of the directory, from the layer's root."""
    parts = [name] if name else []
    above: Directory | None = directory
    while above is not None and above.parent is not None:
        parts.append(above.name)
        above = above.parent
    return b"/".join(reversed(parts))
