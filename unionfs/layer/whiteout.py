"""How a layer says that a name of the layers beneath is gone: every encoding is known here and nowhere else.

Read in any layer: a character device 0:0 (overlayfs), an empty file with a whiteout attribute in a directory whose
opaque attribute is ``x`` (overlayfs, Linux 6.7), a file ``.wh.NAME`` and the marker ``.wh..wh..opq`` (AUFS, and so
the OCI image layers that containers' storage and docker extract as they are).
"""

import os
import stat
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from unionfs.layer.entry import Entry, Kind, kind_of_mode
from unionfs.layer.marks import is_xattr_whiteout

if TYPE_CHECKING:
    from unionfs.layer.directory import Directory

PREFIX = b".wh."
OPAQUE_MARKER = b".wh..wh..opq"
_AUFS_METADATA = b".wh..wh."
NAME_MAX = 255
_LONGEST_PREFIXED = NAME_MAX - len(PREFIX)


def is_reserved(name: bytes) -> bool:
    """Tell whether *name* would be read as a whiteout or marker by its spelling."""
    return name.startswith(PREFIX)


def fits_prefix(name: bytes) -> bool:
    """Tell whether the whiteout of *name* may be spelled ``.wh.NAME``."""
    return len(name) <= _LONGEST_PREFIXED


def is_whiteout_device(found: os.stat_result) -> bool:
    """Tell whether *found* is overlayfs's whiteout, a character device 0:0."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def decode(
    listing: Iterable["os.DirEntry[bytes]"], directory: "Directory", *, xattr_whiteouts: bool
) -> dict[bytes, Entry]:
    """Decode the raw *listing* of *directory*.

    A name that stands beside its own ``.wh.`` file stays: a whiteout hides only what is beneath its layer
    (OCI image-spec, layer.md).

    Raises:
        OSError: an entry can't be examined.
    """
    entries: dict[bytes, Entry] = {}
    file = Kind.FILE
    whited_out: list[tuple[bytes, int]] = []
    for found in listing:
        name = found.name
        if name.startswith(PREFIX):
            directory.tree.holds_prefixes = True
            if not name.startswith(_AUFS_METADATA) and len(name) > len(PREFIX):
                whited_out.append((name[len(PREFIX) :], found.inode()))
        elif not xattr_whiteouts and found.is_file(follow_symlinks=False):
            # By far the most, and so without a further call.
            entries[name] = Entry(file, found.inode(), directory)
        else:
            kind = _kind(found, directory, xattr_whiteouts=xattr_whiteouts)
            entries[name] = Entry(kind, found.inode(), directory)
    for name, inode in whited_out:
        entries.setdefault(name, Entry(Kind.WHITEOUT, inode, directory))
    return entries


def find(directory: "Directory", name: bytes) -> Entry | None:
    """Decode the one *name* of *directory* as ``decode`` does, without listing the others.

    Raises:
        OSError: it can't be examined.
    """
    if is_reserved(name):
        return None
    prefixed = fits_prefix(name) and directory.has(PREFIX + name)
    directory.tree.holds_prefixes |= prefixed
    try:
        status = directory.status(name)
    except FileNotFoundError:
        return Entry(Kind.WHITEOUT, 0, directory) if prefixed else None
    kind = Kind.WHITEOUT if _is_whiteout(directory, name, status) else kind_of_mode(status.st_mode)
    return Entry(kind, status.st_ino, directory)


def _is_whiteout(directory: "Directory", name: bytes, status: os.stat_result) -> bool:
    if stat.S_ISREG(status.st_mode):
        return not status.st_size and is_xattr_whiteout(directory.path(name)) and directory.marks().xattr_whiteouts
    return is_whiteout_device(status)


class Written(NamedTuple):
    """A whiteout as it lies on disk: the name it hides, the name it has, and whether it is overlayfs's device 0:0."""

    hidden: bytes
    name: bytes
    is_device: bool


def written(
    listing: Iterable["os.DirEntry[bytes]"], directory: "Directory", *, xattr_whiteouts: bool
) -> Iterator[Written]:
    """Give the whiteouts among the raw *listing* of *directory*, the marker of an opaque directory not being one.

    Raises:
        OSError: an entry can't be examined.
    """
    for found in listing:
        name = found.name
        if name.startswith(PREFIX):
            directory.tree.holds_prefixes = True
            if not name.startswith(_AUFS_METADATA) and len(name) > len(PREFIX):
                yield Written(name[len(PREFIX) :], name, is_device=False)
        elif _kind(found, directory, xattr_whiteouts=xattr_whiteouts) is Kind.WHITEOUT:
            yield Written(name, name, is_device=not found.is_file(follow_symlinks=False))


def _is_empty_with_mark(directory: "Directory", name: bytes) -> bool:
    return is_xattr_whiteout(directory.path(name)) and directory.status(name).st_size == 0


def _kind(found: "os.DirEntry[bytes]", directory: "Directory", *, xattr_whiteouts: bool) -> Kind:
    if found.is_file(follow_symlinks=False):
        if xattr_whiteouts and _is_empty_with_mark(directory, found.name):
            return Kind.WHITEOUT
        return Kind.FILE
    if found.is_dir(follow_symlinks=False):
        return Kind.DIR
    if found.is_symlink():
        return Kind.SYMLINK
    # d_type isn't told by os.DirEntry for devices, FIFOs and sockets; they are few.
    status = directory.status(found.name)
    return Kind.WHITEOUT if is_whiteout_device(status) else kind_of_mode(status.st_mode)
