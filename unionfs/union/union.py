"""The union as a transport sees it: every operation by inode number and name.

Owns the translation of numbers to inodes and the refusal of changes on a read-only mount. What an operation does is in
the module named after it.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from unionfs.layer.attributes import Attributes
from unionfs.layer.directory import Directory
from unionfs.layer.entry import Kind
from unionfs.layer.upper import Upper
from unionfs.layer.whiteout import NAME_MAX
from unionfs.linux.inode_flags import Form
from unionfs.union.changes import Change, Changes
from unionfs.union.content import Content
from unionfs.union.copy_up import CopyUp
from unionfs.union.creation import Caller, Creation
from unionfs.union.grafts import Graft, layers_of, nodes_of
from unionfs.union.inode import AnyInode, DirectoryInode, Inode
from unionfs.union.inode_flags import InodeFlags
from unionfs.union.loading import Loading
from unionfs.union.nodes import Nodes
from unionfs.union.open_files import OpenFile
from unionfs.union.removal import Removal
from unionfs.union.renaming import Renaming
from unionfs.union.settings import Settings
from unionfs.union.step import Operation


class Listed(NamedTuple):
    """An entry of a directory, with its cookie; without inode and attributes where it can't be reached."""

    name: bytes
    cookie: int
    kind: Kind
    node: AnyInode | None = None
    shown: Attributes | None = None


class Named(NamedTuple):
    """An entry of a directory, with its cookie and the number that its inode has."""

    name: bytes
    cookie: int
    kind: Kind
    number: int


class _Writers:
    """What changes the upper; a read-only mount has none."""

    def __init__(self, nodes: Nodes, upper: Upper, settings: Settings) -> None:
        self.copy_up = CopyUp(nodes, upper, metacopy=settings.metacopy, volatile=settings.volatile)
        self.creation = Creation(nodes, upper, self.copy_up)
        self.removal = Removal(nodes, upper, self.copy_up)
        self.renaming = Renaming(nodes, upper, self.copy_up, self.removal, redirect=settings.redirect)


class Union:
    """A stack of layers with an upper, or without one; then other stacks may show in the place of its directories."""

    def __init__(
        self, upper: Upper | None, lowers: Sequence[Directory], settings: Settings, grafts: Sequence[Graft] = ()
    ) -> None:
        self.settings = settings
        self.nodes = nodes_of(upper, lowers, settings, grafts)
        self.layers = layers_of(self.nodes.root, grafts)
        """The roots of the layers that show, the topmost first, and those that grafts show."""
        self._loading = Loading(self.nodes, prefetch=settings.prefetch)
        if upper is not None and upper.root.tree.in_memory:
            # Nothing there outlives the machine's running, synced or not.
            settings = settings._replace(volatile=True)
        self._writers = None if upper is None else _Writers(self.nodes, upper, settings)
        copy_up = None if self._writers is None else self._writers.copy_up
        self._content = Content(self.nodes, upper, copy_up, volatile=settings.volatile, prefetch=settings.prefetch)
        self._changes = Changes(self.nodes, upper, copy_up, self._content, acl_enabled=settings.acl)
        self._flags = InodeFlags(self._content, copy_up)

    @property
    def is_read_only(self) -> bool:
        """Whether there is no upper, so that every change is refused with EROFS."""
        return self._writers is None

    def _writable(self) -> _Writers:
        if self._writers is None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return self._writers

    # Finding.

    def lookup(self, parent: int, name: bytes) -> Attributes | None:
        """Give what *name* in *parent* shows and remember that the kernel knows it; None where nothing is.

        Raises:
            OSError: ENAMETOOLONG, ENOTDIR, ESTALE, and what reading the layers gives.
        """
        if len(name) > NAME_MAX:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        directory = self.nodes.directory(parent)
        if directory.removed is not None:
            return None
        if name in (b".", b".."):
            return self.remember(directory if name == b"." else directory.parent or directory)
        started = time.perf_counter()
        seen = self.nodes.look(directory, name)
        if seen is None:
            return None
        self._loading.note(seen[0], time.perf_counter() - started)
        return self.remember(*seen)

    def before_lookup(self, parent: int, name: bytes) -> Operation[None] | None:
        """Give what keeps ``lookup`` of *name* from waiting for a disk; None where it won't.

        Raises:
            OSError: as ``lookup``.
        """
        return self._loading.lookup(self.nodes.directory(parent), name)

    def remember(self, node: AnyInode, found: Attributes | None = None) -> Attributes:
        """Count one reference of the kernel to *node*, and give what it shows, of which *found* is known."""
        shown = self.nodes.attributes(node, found)
        node.lookups += 1
        return shown

    def forget(self, number: int, lookups: int) -> None:
        """The kernel drops *lookups* of its references to the inode *number*."""
        node = self.nodes.table.get(number)
        if node is not None:
            self.nodes.forget(node, lookups)

    def getattr(self, number: int) -> Attributes:
        """Give what the inode *number* shows."""
        return self.nodes.attributes(self.nodes.get(number))

    def birth_time_ns(self, number: int) -> int | None:
        """Give when the inode was made where it is now, as far as its file system keeps that.

        Raises:
            OSError: ESTALE for an unknown number, and what reaching the entry gives.
        """
        node = self.nodes.get(number)
        if isinstance(node, DirectoryInode) and node.removed is not None:
            return None
        return node.place.directory.birth_time_ns(node.place.name)

    def inode_flags(self, number: int, form: Form) -> bytes:
        """Give the flags that the inode has on disk, as ioctl(2) does."""
        return self._flags.get(self.nodes.get(number), form)

    def readlink(self, number: int) -> bytes:
        """Give the target of a symbolic link.

        Raises:
            OSError: EINVAL when it is something else.
        """
        node = self.nodes.get(number)
        if not isinstance(node, Inode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return node.place.directory.readlink(node.place.name)

    def entries(self, number: int, cookie: int) -> Iterator[Listed]:
        """Give the entries behind *cookie*; 0 starts with ``.`` and ``..``.

        An entry that vanished from its layer meanwhile is left out. One that can't be reached for another reason is
        given with its kind alone: looking it up fails, listing the others doesn't.

        Raises:
            OSError: ENOTDIR, and what reading the layers gives.
        """
        directory = self.nodes.directory(number)
        if directory.removed is not None:
            return
        for name, place, node in ((b".", 1, directory), (b"..", 2, directory.parent or directory)):
            if cookie < place:
                yield Listed(name, place, Kind.DIR, node, self.nodes.attributes(node))
        started, count = time.perf_counter(), 0
        try:
            contents = self.nodes.contents(directory)
            for name, place in contents.listing.after(cookie):
                count += 1
                entry = contents.get(name)
                listed = None if entry is None else self._listed(directory, name, place, entry.kind)
                if listed is not None:
                    yield listed
        finally:
            self._loading.note(directory, time.perf_counter() - started, count)

    def before_listing(self, number: int, cookie: int, *, attributes: bool) -> Operation[None] | None:
        """Give what keeps ``entries``, or ``names`` without *attributes*, from waiting for a disk; None: they won't.

        Raises:
            OSError: as ``entries``.
        """
        return self._loading.listing(self.nodes.directory(number), cookie, attributes=attributes)

    def _listed(self, directory: DirectoryInode, name: bytes, place: int, kind: Kind) -> Listed | None:
        try:
            seen = self.nodes.look(directory, name)
            return None if seen is None else Listed(name, place, kind, seen.node, self.nodes.attributes(*seen))
        except FileNotFoundError:
            return None
        except OSError:
            return Listed(name, place, kind)

    def names(self, number: int, cookie: int) -> Iterator[Named]:
        """Give the entries behind *cookie* as ``entries`` does, without reaching those that a scan knows enough of.

        Raises:
            OSError: ENOTDIR, and what reading the layers gives.
        """
        directory = self.nodes.directory(number)
        if directory.removed is not None:
            return
        for name, place, node in ((b".", 1, directory), (b"..", 2, directory.parent or directory)):
            if cookie < place:
                yield Named(name, place, Kind.DIR, node.number)
        contents, expected = self.nodes.contents(directory), self.nodes.expected
        for name, place in contents.listing.after(cookie):
            entry = contents.get(name)
            if entry is not None:
                yield Named(name, place, *expected(directory, name, entry))

    def spare_number(self) -> int:
        """Give a number for an entry that can't be reached; it stands for no inode."""
        return self.nodes.table.spare_number()

    def statfs(self) -> os.statvfs_result:
        """Give the numbers of the upper's file system, or of the topmost layer's."""
        return os.fstatvfs(self.nodes.root.place.directory.fd())

    # Content.

    def _file(self, number: int) -> Inode:
        node = self.nodes.get(number)
        if not isinstance(node, Inode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        return node

    def open(self, number: int, flags: int) -> Operation[None]:
        """Prepare the file for being used as *flags* say; never needed for what follows to be right."""
        return self._content.open(self._file(number), flags)

    def settled_content(self, number: int, *, writable: bool) -> OpenFile | None:
        """Give the open file that holds the content from now on, for the moment; None where it may still be moved.

        Raises:
            OSError: what opening gives.
        """
        return self._content.settled(self._file(number), writable=writable)

    def read(self, number: int, offset: int, size: int) -> Operation[bytes]:
        """Read up to *size* bytes from *offset*."""
        return self._content.read(self._file(number), offset, size)

    def write(
        self, number: int, offset: int, content: bytes | memoryview, *, keep_set_id: bool, keep_mtime: bool = False
    ) -> Operation[int]:
        """Write *content* at *offset*; give the number of bytes written."""
        return self._content.write(self._file(number), offset, content, keep_set_id=keep_set_id, keep_mtime=keep_mtime)

    def allocate(self, number: int, mode: int, offset: int, length: int, *, keep_set_id: bool) -> Operation[None]:
        """Allocate, zero or free a range of the file."""
        return self._content.allocate(self._file(number), mode, offset, length, keep_set_id=keep_set_id)

    def seek(self, number: int, offset: int, whence: int) -> int:
        """Give where the next data or hole is."""
        return self._content.seek(self._file(number), offset, whence)

    def copy_range(
        self, source: int, start: int, target: int, offset: int, length: int, *, keep_set_id: bool
    ) -> Operation[int]:
        """Copy a range between two files; give the number of bytes."""
        return self._content.copy_range(
            self._file(source), start, self._file(target), offset, length, keep_set_id=keep_set_id
        )

    def fsync(self, number: int, *, content_only: bool) -> Operation[None]:
        """Have the file on the device, and its names."""
        return self._content.sync(self._file(number), content_only=content_only)

    def fsyncdir(self, number: int) -> Operation[None]:
        """Have the directory's names on the device."""
        return self._content.sync_directory(self.nodes.directory(number))

    # Changes.

    def setattr(self, number: int, change: Change, *, keep_set_id: bool) -> Operation[Attributes]:
        """Change attributes, and give what the inode shows then."""
        self._writable()
        node = self.nodes.get(number)
        yield from self._changes.change(node, change, keep_set_id=keep_set_id)
        return self.nodes.attributes(node)

    def set_inode_flags(self, number: int, form: Form, value: bytes) -> Operation[None]:
        """Set the flags that the inode has on disk, as ioctl(2) does."""
        return self._flags.set(self.nodes.get(number), form, value)

    def take_set_id(self, number: int) -> Attributes:
        """Take set-id bits away from a file whose content is in the upper, and give what it shows then."""
        node = self._file(number)
        self._content.take_set_id(node)
        return self.nodes.attributes(node)

    def create(
        self, parent: int, name: bytes, mode: int, caller: Caller, *, rdev: int = 0, target: bytes = b""
    ) -> Attributes:
        """Make an entry of the type in *mode*, remembered as by ``lookup``; give what it shows."""
        writers = self._writable()
        made = writers.creation.make(self.nodes.directory(parent), name, mode, caller, rdev=rdev, target=target)
        return self.remember(*made)

    def create_nameless(self, parent: int, mode: int, caller: Caller) -> Attributes:
        """Make a regular file that has no name yet (O_TMPFILE), remembered as by ``lookup``; give what it shows."""
        writers = self._writable()
        return self.remember(writers.creation.make_nameless(self.nodes.directory(parent), mode, caller))

    def link(self, number: int, parent: int, name: bytes) -> Operation[Attributes]:
        """Give a file a further name, remembered as by ``lookup``; give what the file shows then."""
        writers = self._writable()
        node = self.nodes.get(number)
        if not isinstance(node, Inode):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        yield from writers.creation.link(node, self.nodes.directory(parent), name)
        return self.remember(node)

    def unlink(self, parent: int, name: bytes) -> Operation[None]:
        """Remove a name of a file."""
        return self._writable().removal.unlink(self.nodes.directory(parent), name)

    def rmdir(self, parent: int, name: bytes) -> None:
        """Remove a directory that shows nothing."""
        self._writable().removal.rmdir(self.nodes.directory(parent), name)

    def rename(self, parent: int, name: bytes, new_parent: int, new_name: bytes, flags: int) -> Operation[None]:
        """Rename an entry."""
        renaming = self._writable().renaming
        return renaming.rename(self.nodes.directory(parent), name, self.nodes.directory(new_parent), new_name, flags)

    # Extended attributes.

    def getxattr(self, number: int, name: bytes) -> bytes:
        """Give the value of an attribute."""
        return self._changes.get_xattr(self.nodes.get(number), name)

    def listxattr(self, number: int, may_see_trusted: Callable[[], bool]) -> list[bytes]:
        """Give the names of the attributes."""
        return self._changes.list_xattrs(self.nodes.get(number), may_see_trusted)

    def setxattr(
        self, number: int, name: bytes, value: bytes, flags: int, *, keep_setgid: bool = True
    ) -> Operation[None]:
        """Set an attribute."""
        self._writable()
        return self._changes.set_xattr(self.nodes.get(number), name, value, flags, keep_setgid=keep_setgid)

    def removexattr(self, number: int, name: bytes) -> Operation[None]:
        """Remove an attribute."""
        self._writable()
        return self._changes.remove_xattr(self.nodes.get(number), name)

    # The end.

    @property
    def needs_tidying(self) -> bool:
        """Whether ``tidy`` is worth its time, some milliseconds; a transport calls it when it is idle."""
        return self.nodes.table.needs_tidying

    def tidy(self) -> None:
        """Give back the memory of what was forgotten."""
        self._loading.forget()
        self.nodes.table.tidy()

    def close(self) -> None:
        """Close every descriptor of the union's own."""
        self.nodes.files.close()
        for directory in self.layers:
            directory.tree.descriptors.close()

    def statistics(self) -> dict[str, int]:
        """Give the counts that the log shows on request."""
        return {
            "inodes": len(self.nodes.table),
            "directories": self.nodes.table.directories,
            "open files": len(self.nodes.files),
            "regular files": sum(
                isinstance(node, Inode) and node.type_bits == stat.S_IFREG for node in self.nodes.table
            ),
        }


__all__ = ["Caller", "Change", "DirectoryInode", "Settings", "Union"]
