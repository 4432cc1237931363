"""One tar stream becomes one layer directory in overlayfs format.

Owns what each kind of entry means. Places in the layer, whiteouts, hard links and metadata have modules of their own.
"""

import os
import stat
from collections.abc import Callable, Mapping

from unionfs.layer import acl
from unionfs.layer.abilities import Abilities
from unionfs.layer.ownership import Ownership
from unionfs.layer.unpack import paths
from unionfs.layer.unpack.errors import LayerError
from unionfs.layer.unpack.hard_links import HardLinks
from unionfs.layer.unpack.inode import CREATE, InodeWriter
from unionfs.layer.unpack.notes import Notes
from unionfs.layer.unpack.places import DEFAULT_DIRECTORY, Places
from unionfs.layer.unpack.staging import PLNK, ROOT, Staging
from unionfs.layer.unpack.tree import OpenDirectory, Tree
from unionfs.layer.unpack.unsettled import Unsettled
from unionfs.layer.unpack.whiteouts import Whiteouts
from unionfs.layer.whiteout import OPAQUE_MARKER, PREFIX
from unionfs.linux import xattrs
from unionfs.tar import Entry, Kind, Limits, Reader, TarError, printable
from unionfs.tar.source import Stream

_TYPES = {Kind.FIFO: stat.S_IFIFO, Kind.CHAR: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK}


def unpack(stream: Stream, staging: Staging, abilities: Abilities, limits: Limits) -> Unsettled:
    """Unpack the tar *stream*, read to its end, into ``root`` of the empty *staging*; give what ``settle`` needs.

    Raises:
        LayerError: the archive is malformed or beyond *limits*, or an entry can't be stored.
        what the stream's ``read`` raises.
    """
    reader = Reader(stream, limits)
    unpacker = _Unpacker(staging, abilities, reader, limits)
    try:
        with unpacker.tree:
            for entry in reader:
                unpacker.add(entry)
    except TarError as error:
        raise LayerError(str(error), getattr(error, "limit", "")) from error
    unpacker.unsettled.warnings = unpacker.notes.lines()
    return unpacker.unsettled


class _Unpacker:
    """Puts the entries of one archive into one layer."""

    def __init__(self, staging: Staging, abilities: Abilities, reader: Reader, limits: Limits) -> None:
        self.notes = Notes()
        self.unsettled = Unsettled()
        self.tree = Tree(os.dup(staging.directory(ROOT)))
        self._staging = staging
        self._reader = reader
        self._depth = limits.depth
        self._inodes = InodeWriter(abilities, self.notes)
        self._whiteouts = Whiteouts(abilities)
        self._places = Places(self.tree, self._inodes, self._whiteouts, self.unsettled, self.notes, limits.entries)
        self._links = HardLinks(staging, self._places, self.unsettled, limits.depth)
        self._makers: Mapping[Kind, Callable[[Entry, OpenDirectory, bytes], None]] = {
            Kind.FILE: self._file,
            Kind.DIR: self._directory,
            Kind.SYMLINK: self._symlink,
            Kind.HARDLINK: self._links.make,
            Kind.FIFO: self._special,
            Kind.CHAR: self._special,
            Kind.BLOCK: self._special,
        }
        self._prepare_root()

    def add(self, entry: Entry) -> None:
        """Put one entry in its place.

        Raises:
            LayerError: it can't be stored.
            TarError: its content is cut off.
        """
        try:
            parent, name = paths.split(entry.name, self._depth)
            if parent.startswith(paths.AUFS):
                self._aufs(entry, parent, name)
            elif name.startswith(PREFIX):
                self._whiteout(entry, parent, name)
            elif not name:
                self._root(entry)
            elif entry.kind is Kind.FILE:  # nearly all are, and the table below costs more than what it finds
                self._file(entry, self._places.parent(parent), name)
            else:
                self._makers[entry.kind](entry, self._places.parent(parent), name)
        except OSError as error:
            raise LayerError(f"{printable(entry.name)}: {error.strerror}") from error

    def _prepare_root(self) -> None:
        self._inodes.write(self.tree.root.fd, DEFAULT_DIRECTORY, {}, b".")
        self.tree.root.times = (0, 0)

    def _root(self, entry: Entry) -> None:
        if entry.kind is not Kind.DIR:
            raise LayerError(f"{printable(entry.name)!r}: refusing to change the type of the layer's root directory")
        self._inodes.clear(self.tree.root.fd)
        self._describe(self.tree.root, entry)
        self.unsettled.has_root = True

    def _directory(self, entry: Entry, parent: OpenDirectory, name: bytes) -> None:
        self._describe(self._places.make_directory(parent, name), entry)

    def _describe(self, directory: OpenDirectory, entry: Entry) -> None:
        """Give an empty or taken over directory its metadata; its times follow when it is closed."""
        shown = Ownership(entry.uid, entry.gid, entry.mode, stat.S_IFDIR)
        self._inodes.write(directory.fd, shown, entry.xattrs, entry.name)
        directory.times = _times(entry)
        if acl.DEFAULT in entry.xattrs:
            self.tree.has_default_acls = True
            directory.has_default_acl = xattrs.get(directory.fd, acl.DEFAULT) is not None

    def _file(self, entry: Entry, parent: OpenDirectory, name: bytes) -> None:
        fd = self._create(parent, name)
        try:
            if entry.size:
                self._write_content(entry, fd)
            shown = Ownership(entry.uid, entry.gid, entry.mode, stat.S_IFREG)
            self._inodes.write(fd, shown, entry.xattrs, entry.name)
            os.utime(fd, ns=_times(entry))
        finally:
            os.close(fd)

    def _create(self, parent: OpenDirectory, name: bytes) -> int:
        try:
            fd = os.open(name, CREATE, 0o600, dir_fd=parent.fd)
        except FileExistsError:
            self._places.make_room(parent, name)
            fd = os.open(name, CREATE, 0o600, dir_fd=parent.fd)
        if parent.has_default_acl:
            xattrs.discard(fd, acl.ACCESS)
        return fd

    def _write_content(self, entry: Entry, fd: int) -> None:
        if entry.sparse is None:
            for _, piece in self._reader.chunks():
                written = os.write(fd, piece)
                while written < len(piece):
                    written += os.write(fd, memoryview(piece)[written:])
            return
        for offset, piece in self._reader.chunks():
            written = 0
            while written < len(piece):
                written += os.pwrite(fd, memoryview(piece)[written:], offset + written)
        os.ftruncate(fd, entry.size)

    def _symlink(self, entry: Entry, parent: OpenDirectory, name: bytes) -> None:
        try:
            os.symlink(entry.linkname, name, dir_fd=parent.fd)
        except FileExistsError:
            self._places.make_room(parent, name)
            os.symlink(entry.linkname, name, dir_fd=parent.fd)
        shown = Ownership(entry.uid, entry.gid, entry.mode, stat.S_IFLNK)
        self._inodes.write_link(parent.fd, name, shown, entry.xattrs)
        os.utime(name, ns=_times(entry), dir_fd=parent.fd, follow_symlinks=False)

    def _special(self, entry: Entry, parent: OpenDirectory, name: bytes) -> None:
        device = os.makedev(entry.devmajor, entry.devminor)
        if entry.kind is Kind.CHAR and device == 0:
            raise LayerError(
                f"{printable(entry.name)}: a character device 0:0 would be a whiteout on disk; images may not hold one"
            )
        shown = Ownership(entry.uid, entry.gid, entry.mode, _TYPES[entry.kind], device)
        self._places.make_room(parent, name)
        self._inodes.make_special(parent.fd, name, shown, entry.xattrs)
        os.utime(name, ns=_times(entry), dir_fd=parent.fd, follow_symlinks=False)

    def _whiteout(self, entry: Entry, parent: bytes, name: bytes) -> None:
        if name == OPAQUE_MARKER:
            self._places.make_opaque(self._places.parent(parent))
            return
        if name.startswith(paths.AUFS):
            return
        hidden = name[len(PREFIX) :]
        if hidden in (b"", b".", b".."):
            raise LayerError(f"{printable(entry.name)}: invalid whiteout name")
        directory = self._places.parent_of_whiteout(parent)
        if directory is not None:
            self._places.white_out(directory, hidden)

    def _aufs(self, entry: Entry, parent: bytes, name: bytes) -> None:
        """Keep what hard links may name; the rest of aufs' bookkeeping is not content."""
        if parent == paths.AUFS_PLNK and entry.kind is not Kind.HARDLINK:
            directory = OpenDirectory(os.dup(self._staging.directory(PLNK)), parent)
            try:
                self._makers[entry.kind](entry, directory, name)
            finally:
                directory.close()


def _times(entry: Entry) -> tuple[int, int]:
    """Give access and modification time; without an access time of its own the entry shows the other one."""
    return entry.mtime_ns if entry.atime_ns is None else entry.atime_ns, entry.mtime_ns
