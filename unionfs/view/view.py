"""The merged tree, asked by path.

Owns which inodes the union has to remember: the last ones that were asked for, with what is above them, so that memory
doesn't grow with the tree. A path is ``bytes`` from the root, without a slash before it; the root is ``b""``.
"""

import errno
import io
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from unionfs.layer.attributes import Attributes
from unionfs.linux.ids import mapped_ids
from unionfs.union.copy_up import content_of
from unionfs.union.inode import AnyInode, DirectoryInode, Inode, Place
from unionfs.union.listing import LAST_DOT_COOKIE
from unionfs.union.table import ROOT
from unionfs.union.union import Union
from unionfs.view.resolving import Resolution

_REMEMBERED = 512
"""Inodes that are known beside those above them."""


class Entry(NamedTuple):
    """What shows at a path. Names with one ``attributes.ino`` are one file, where ``attributes.nlink`` is above 1."""

    path: bytes
    attributes: Attributes


class View:
    """What a union shows; nothing here changes it. Made by ``open_view``.

    But for ``resolve`` and ``find`` everything takes a path as they give it, in which no link is followed.
    """

    def __init__(self, union: Union) -> None:
        self._union = union
        self._remembered: OrderedDict[bytes, int] = OrderedDict()
        self._has_foreign_ids = mapped_ids() is not None

    # Finding.

    def resolve(self, path: bytes, *, follow: bool = True) -> bytes:
        """Give where *path* leads within the root; a symbolic link at its end is followed with *follow*.

        Raises:
            OSError: ENOENT, ENOTDIR, ELOOP, and what reading a layer gives; the error names *path*.
        """
        with _naming(path):
            return Resolution(path, lambda here: self._look(here).mode, self.readlink).resolve(follow=follow)

    def find(self, path: bytes, *, follow: bool = True) -> Entry:
        """Give what is where *path* leads, as ``resolve`` has it.

        Raises:
            OSError: as ``resolve``.
        """
        found = self.resolve(path, follow=follow)
        return Entry(found, self.attributes(found))

    def attributes(self, path: bytes) -> Attributes:
        """Give what stat(2) tells of *path*; owners are those recorded, even if they don't exist in this namespace.

        Raises:
            OSError: ENOENT, ENOTDIR, and what reading a layer gives; the error names *path*, as everywhere here.
        """
        with _naming(path):
            return self._look(path)

    def names(self, path: bytes) -> list[bytes]:
        """Give the names in the directory *path*, sorted by their bytes.

        Raises:
            OSError: ENOTDIR, and as ``attributes``.
        """
        with _naming(path):
            contents = self._union.nodes.contents(self._directory(path))
            return sorted(name for name, _ in contents.listing.after(LAST_DOT_COOKIE))

    def walk(self, path: bytes = b"") -> Iterator[Entry]:
        """Give *path* and, if it is a directory, all beneath it: each directory before what is in it, names sorted.

        Raises:
            OSError: as ``names``; what was given until then is right.
        """
        top = Entry(path, self.attributes(path))
        yield top
        pending = [self._beneath(top)]
        while pending:
            entry = next(pending[-1], None)
            if entry is None:
                pending.pop()
                continue
            yield entry
            if entry.attributes.is_directory:
                pending.append(self._beneath(entry))

    def _beneath(self, entry: Entry) -> Iterator[Entry]:
        if not entry.attributes.is_directory:
            return
        above = entry.path + b"/" if entry.path else b""
        for name in self.names(entry.path):
            yield Entry(above + name, self.attributes(above + name))

    # What is there.

    def readlink(self, path: bytes) -> bytes:
        """Give the target of the symbolic link *path*.

        Raises:
            OSError: EINVAL when it is something else, and as ``attributes``.
        """
        with _naming(path):
            return self._union.readlink(self._number(path))

    def xattrs(self, path: bytes) -> dict[bytes, bytes]:
        """Give the extended attributes that a mount shows, sorted by name; those of a layer's own aren't among them.

        Raises:
            OSError: as ``attributes``.
        """
        with _naming(path):
            number = self._number(path)
            names = sorted(self._union.listxattr(number, lambda: True))
            return {name: self._union.getxattr(number, name) for name in names}

    def open(self, path: bytes) -> io.FileIO:
        """Open the regular file *path* for reading; it is the file of a layer itself, with its holes.

        Raises:
            OSError: EISDIR, EINVAL for what is neither, EIO where its content is missing, and as ``attributes``.
        """
        with _naming(path):
            if not self._look(path).is_regular:
                number = errno.EISDIR if self._look(path).is_directory else errno.EINVAL
                raise OSError(number, "not a regular file" if number == errno.EINVAL else os.strerror(number))
            node = self._node(path)
            assert isinstance(node, Inode)
            place = content_of(node)
            return io.FileIO(place.directory.open(place.name, os.O_RDONLY))

    def places(self, path: bytes) -> tuple[Place, ...]:
        """Give where the layers hold what shows at *path*, the topmost first.

        A directory has one place for each layer that shows in it; a file has one, and a second where its content lies
        beneath (metacopy). ``place.directory.tree.position`` is the layer's: 0 for the topmost that was given.

        Raises:
            OSError: as ``attributes``.
        """
        with _naming(path):
            node = self._node(path)
        if isinstance(node, DirectoryInode):
            parts = (*([node.upper] if node.upper else ()), *node.lowers)
            return tuple(Place(part, b".") for part in parts)
        return (node.place,) if node.content is None else (node.place, node.content)

    def indexed(self) -> tuple[Place, ...]:
        """Give where the files are that show at names which the upper doesn't hold.

        That is what became of lower files with several names, of which another was written through.
        """
        upper = self._union.nodes.upper
        if upper is None:
            return ()
        links = upper.links
        return tuple(Place(links.directory, key) for key in links.with_lower_names() if key in links)

    # From a path to an inode.

    def _directory(self, path: bytes) -> DirectoryInode:
        return self._union.nodes.directory(self._number(path))

    def _node(self, path: bytes) -> AnyInode:
        return self._union.nodes.get(self._number(path))

    def _look(self, path: bytes) -> Attributes:
        if path in self._remembered or not path:
            return self._as_recorded(self._union.getattr(self._number(path)))
        above, _, name = path.rpartition(b"/")
        shown = self._union.lookup(self._number(above), name)
        if shown is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        self._remember(path, shown.ino)
        return self._as_recorded(shown)

    def _number(self, path: bytes) -> int:
        """Give the inode number of *path*, which from then on is among those asked for last."""
        unknown: list[bytes] = []
        while path and path not in self._remembered:
            above, _, name = path.rpartition(b"/")
            unknown.append(name)
            path = above
        number = ROOT
        if path:
            number = self._remembered[path]
            self._remembered.move_to_end(path)
        for name in reversed(unknown):
            shown = self._union.lookup(number, name)
            if shown is None:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            path, number = path + b"/" + name if path else name, shown.ino
            self._remember(path, number)
        return number

    def _remember(self, path: bytes, number: int) -> None:
        """Keep the inode known, and let go of the one that wasn't asked for longest; who has known children stays."""
        self._remembered[path] = number
        if len(self._remembered) > _REMEMBERED:
            self._union.forget(self._remembered.popitem(last=False)[1], 1)

    def _as_recorded(self, shown: Attributes) -> Attributes:
        """Let an owner that a layer records, and that doesn't exist in this user namespace, be shown all the same."""
        if self._has_foreign_ids:
            self._union.nodes.ownership(self._union.nodes.get(shown.ino)).apply(shown)
        return shown


@contextmanager
def _naming(path: bytes) -> Iterator[None]:
    """Let an error name *path*: what the layers call it is theirs, and no path that leads there."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = b"/" + path.lstrip(b"/"), None
        raise
