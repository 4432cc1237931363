"""Changes, or a whole tree, as a tar: what the OCI image-spec calls a layer (layer.md).

Owns what of an entry goes into it: all that a mount shows, but for access times, and for attributes that belong to this
machine or would be a layer's own marks to another program. Whiteouts are empty files without permissions, of the year
1970. The same tree gives the same bytes.
"""

import io
import os
import stat
from collections.abc import Iterable

from unionfs.diff.change import Change, ChangeKind
from unionfs.diff.changed_error import ChangedError, noticing_changes
from unionfs.diff.comparing import identity
from unionfs.layer.attributes import Attributes
from unionfs.layer.whiteout import OPAQUE_MARKER, PREFIX
from unionfs.tar import Entry, Kind, TarError, Writer, printable
from unionfs.tar.writer import Sink
from unionfs.union.inode import Identity
from unionfs.view import View, is_portable

_ROOT = b"./"
_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIR,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHAR,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
}
_TRUSTED = b"trusted."
"""Neither image readers nor ``unpack`` take attributes of this namespace from an archive."""


def write_changes(changes: Iterable[Change], now: View, sink: Sink) -> list[str]:
    """Write the layer that holds *changes*, in the order of ``layer_changes``; give a warning for what it can't hold.

    Raises:
        ChangedError: somebody writes to the tree.
        TarError: no tar can hold one of the entries.
        OSError: reading a layer failed.
    """
    tree = _TarOfTree(now, sink)
    for change in changes:
        with noticing_changes(change.path):
            tree.add_change(change)
    return tree.finish()


def write_tree(tree: View, sink: Sink, top: bytes = b"", name: bytes = b"") -> list[str]:
    """Write all of *tree*, its root included, or what is at *top* as *name*; otherwise as ``write_changes``."""
    tar = _TarOfTree(tree, sink, top, name)
    for entry in tree.walk(top):
        with noticing_changes(entry.path):
            tar.add(entry.path, entry.attributes)
    return tar.finish()


class _TarOfTree:
    """A tar in the making, of what *tree* shows at *top*, which is called *name* there."""

    def __init__(self, tree: View, sink: Sink, top: bytes = b"", name: bytes = b"") -> None:
        self._tree = tree
        self._top = top
        self._name = name
        self._writer = Writer(sink)
        self._linked: dict[Identity, bytes] = {}
        self._has_trusted = False
        self._warnings: list[str] = []

    def finish(self) -> list[str]:
        """End the tar, and give the warnings."""
        self._writer.finish()
        return self._warnings

    def add_change(self, change: Change) -> None:
        """Write what the layer holds for *change*."""
        if not change.is_stored and change.kind is not ChangeKind.ADDED and not change.covered:
            above, _, name = change.path.rpartition(b"/")
            self._writer.add(_marker(_joined(above, PREFIX + name)))
        if change.attributes is not None:
            self.add(change.path, change.attributes)
        if change.opaque:
            self._writer.add(_marker(_joined(change.path, OPAQUE_MARKER)))

    def add(self, path: bytes, shown: Attributes) -> None:
        """Write what shows at *path*, which has the attributes *shown*."""
        kind = _KINDS.get(shown.type_bits)
        if kind is None:
            self._warnings.append(f"/{printable(path)} is a socket, which a layer can't hold; it is left out")
            return
        if kind is not Kind.DIR and shown.nlink > 1:
            file = identity(self._tree.places(path)[0])
            first = self._linked.setdefault(file, path)
            if first != path:
                self._writer.add(self._entry(path, shown, Kind.HARDLINK, self._called(first)))
                return
        if kind is Kind.FILE:
            self._add_file(path, shown)
            return
        target = self._tree.readlink(path) if kind is Kind.SYMLINK else b""
        self._writer.add(self._entry(path, shown, kind, target))

    def _add_file(self, path: bytes, shown: Attributes) -> None:
        with self._tree.open(path) as content:
            shown.size = os.fstat(content.fileno()).st_size
            limited = _Limited(content, shown.size)
            try:
                self._writer.add(self._entry(path, shown, Kind.FILE), limited)
            except TarError as error:
                if limited.left:
                    raise ChangedError(f"/{printable(path)} became shorter while it was read") from error
                raise

    def _called(self, path: bytes) -> bytes:
        beneath = path[len(self._top) :].lstrip(b"/")
        return _joined(self._name, beneath) if self._name and beneath else self._name or beneath or _ROOT

    def _entry(self, path: bytes, shown: Attributes, kind: Kind, target: bytes = b"") -> Entry:
        is_device = kind in (Kind.CHAR, Kind.BLOCK)
        return Entry(
            name=self._called(path),
            kind=kind,
            mode=stat.S_IMODE(shown.mode),
            uid=shown.uid,
            gid=shown.gid,
            size=shown.size if kind is Kind.FILE else 0,
            mtime_ns=shown.mtime_ns,
            atime_ns=None,
            linkname=target,
            devmajor=os.major(shown.rdev) if is_device else 0,
            devminor=os.minor(shown.rdev) if is_device else 0,
            xattrs={} if kind is Kind.HARDLINK else self._xattrs(path),
            sparse=None,
        )

    def _xattrs(self, path: bytes) -> dict[bytes, bytes]:
        kept = {}
        for name, value in self._tree.xattrs(path).items():
            if name.startswith(_TRUSTED):
                self._warn_of_trusted(path)
            elif is_portable(name):
                kept[name] = value
        return kept

    def _warn_of_trusted(self, path: bytes) -> None:
        if not self._has_trusted:
            self._has_trusted = True
            self._warnings.append(
                f"/{printable(path)} has a trusted.* attribute, which is for this machine alone; "
                "such attributes are left out"
            )


class _Limited:
    """The content of a file as far as it went when it was opened: a log may grow meanwhile."""

    def __init__(self, file: io.FileIO, size: int) -> None:
        self._file = file
        self.left = size

    def read(self, size: int, /) -> bytes:
        """Read from the file."""
        piece = self._file.read(min(size, self.left))
        self.left -= len(piece)
        return piece


def _joined(above: bytes, name: bytes) -> bytes:
    return above + b"/" + name if above else name


def _marker(name: bytes) -> Entry:
    """Give a whiteout: it has no content, no permissions, no owner, and the time 0."""
    return Entry(name, Kind.FILE, 0, 0, 0, 0, 0, None, b"", 0, 0, {}, None)
