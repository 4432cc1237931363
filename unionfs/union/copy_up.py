"""Copy-up: giving the upper its own copy of what only a layer beneath holds.

Owns what a copy preserves and the order that makes it safe: staged in the workdir with owner, attributes, content and
times, synced unless the mount is volatile, then put into place by one rename. Parents come first; a directory's times
don't change by what is copied into it.
"""

import contextlib
import errno
import functools
import logging
import os
import stat
from collections.abc import Iterator

from unionfs.layer import private_xattrs
from unionfs.layer.attributes import Attributes
from unionfs.layer.entry import Entry, kind_of_mode
from unionfs.layer.marks import REDIRECT_MAX, Marks
from unionfs.layer.metadata import keep_times, set_times
from unionfs.layer.ownership import Ownership
from unionfs.layer.upper import New, Upper
from unionfs.linux import xattrs
from unionfs.linux.copy import copy_content
from unionfs.union.inode import AnyInode, DirectoryInode, Identity, Inode, Place
from unionfs.union.nodes import Nodes
from unionfs.union.origin import Origin
from unionfs.union.step import Gate, Operation

_log = logging.getLogger(__name__)
_SET_ID = stat.S_ISUID | stat.S_ISGID


class CopyUp:
    """Copies inodes up. ``metacopy`` lets a change of metadata leave the content beneath."""

    def __init__(self, nodes: Nodes, upper: Upper, *, metacopy: bool, volatile: bool) -> None:
        self._nodes = nodes
        self._upper = upper
        self._metacopy = metacopy
        self._volatile = volatile

    @staticmethod
    def settled(node: AnyInode | None) -> Operation[None]:
        """Wait until *node* isn't being copied up."""
        while isinstance(node, Inode) and node.copying is not None:
            yield node.copying

    def inode(self, node: AnyInode, *, content: bool = True, size: int | None = None) -> Operation[bool]:
        """Make *node* one of the upper, with its content there too unless *content* is false and metacopy allows it.

        *size* is what the caller truncates the file to: no more than that is copied. True: the copy is truncated to
        it, as by ftruncate(2), before it shows, so that what fails later leaves no short file.

        Raises:
            OSError: ENOSPC and others of copying; then nothing has changed.
        """
        if isinstance(node, DirectoryInode):
            self.directory(node)
            return False
        if node.copying is not None:
            yield from self.settled(node)
        if not node.in_upper:
            return (yield from self._file(node, content=content or not self._metacopy, size=size))
        if content and node.is_metacopy:
            return (yield from self._content_of_metacopy(node, size))
        return False

    def directory(self, node: DirectoryInode) -> None:
        """Make *node* and its ancestors directories of the upper."""
        missing: list[DirectoryInode] = []
        above: DirectoryInode | None = node
        while above is not None and above.upper is None:
            missing.append(above)
            above = above.parent
        for directory in reversed(missing):
            self._one_directory(directory)

    def _one_directory(self, node: DirectoryInode) -> None:
        parent = node.parent
        if node.removed is not None or parent is None or parent.upper is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        found = node.place.directory.status()
        shown, owned = self._nodes.attributes(node, Attributes(found)), self._nodes.ownership(node, Attributes(found))
        filled = self._upper.metadata.until_whole(owned)
        staged = self._upper.stage(New(filled))
        with self._upper.workdir.discarding(staged):
            self._copy_xattrs(node, staged, filled)
            set_times(self._upper.work, staged, shown.atime_ns, shown.mtime_ns)
            status, marks = self._upper.work.status(staged), self._record_of(staged)
            self._put(staged, parent, node.name, is_directory=True)
        node.upper = parent.upper.child(node.name)
        self._nodes.table.move(node, Identity(status.st_dev, status.st_ino))
        self._note(parent, node.name, shown.mode, status.st_ino)
        self._note_record(node, marks)
        if filled is not owned:
            # Only now: a directory is moved by who may write into it (rename(2)).
            self._upper.metadata.give(parent.upper, node.name, owned)

    def _copy_xattrs(self, node: AnyInode, staged: bytes, owned: Ownership, *, give: bool = False) -> None:
        if node.has_xattrs:
            self._upper.metadata.copy_xattrs(*node.place, self._upper.work, staged)
        if (give or node.has_xattrs or owned.permissions & _SET_ID) and owned.type_bits != stat.S_IFLNK:
            # An access list that was copied over the permissions counts as a change; writing may take set-id bits.
            self._upper.metadata.give(self._upper.work, staged, owned)

    def _record_of(self, staged: bytes) -> Marks | None:
        """Read what a copy records of itself, while a failure still changes nothing; None where nothing can be."""
        return self._upper.work.marks(staged) if self._upper.metadata.may_record else None

    @staticmethod
    def _note_record(node: AnyInode, marks: Marks | None) -> None:
        """Know what the copy of *node* records of itself; its other attributes are those that it had."""
        if marks is not None:
            node.note(marks)
        else:
            node.ownership = None

    def _put(self, staged: bytes, parent: DirectoryInode, name: bytes, *, is_directory: bool) -> None:
        assert parent.upper is not None
        before = parent.upper.status()
        with self._upper.metadata.letting_in(parent.upper):
            self._upper.place(staged, parent.upper, name, directory=is_directory, over_whiteout=False)
        keep_times(parent.upper, before)

    def _note(self, parent: DirectoryInode, name: bytes, mode: int, inode: int) -> None:
        assert parent.upper is not None
        self._nodes.contents(parent).set_upper(name, Entry(kind_of_mode(mode), inode, parent.upper))

    # Files.

    def _file(self, node: Inode, *, content: bool, size: int | None) -> Operation[bool]:
        if node.parent is not None:
            self.directory(node.parent)
        found = node.place.directory.status(node.place.name)
        shown, owned = self._nodes.attributes(node, Attributes(found)), self._nodes.ownership(node, Attributes(found))
        if not shown.is_regular or shown.size == 0:
            content = True
        key = self._link_key(node, found.st_nlink)
        target = os.readlink(node.place.name, dir_fd=node.place.directory.fd()) if stat.S_ISLNK(shown.mode) else b""
        filled = self._upper.metadata.until_whole(owned)
        staged = self._upper.stage(New(filled, target))
        with _held_back(node), contextlib.ExitStack() as opened:
            with self._upper.workdir.discarding(staged):
                fd = None
                if shown.is_regular and content:
                    fd = _opened_with(opened, Place(self._upper.work, staged))
                    yield from self._copy(node, fd, shown, _length(shown, size))
                if not content:
                    self._mark_metacopy(staged, shown)
                origin = Origin(self._nodes.table.lasting_number(node.number), key, node.lower_links)
                self._upper.marking.set(self._upper.work, staged, private_xattrs.ORIGIN, origin.text())
                self._copy_xattrs(node, staged, owned, give=filled is not owned)
                set_times(self._upper.work, staged, shown.atime_ns, shown.mtime_ns)
                if fd is not None:
                    _cut(fd, shown, size)
                    yield from self._sync(fd)
                status, marks = self._upper.work.status(staged), self._record_of(staged)
                place = self._put_file(node, staged, shown.mode, status.st_ino)
            self._become_upper(node, place, Identity(status.st_dev, status.st_ino), marks, content=content)
            if fd is not None:
                opened.pop_all()
                self._nodes.files.add(node.number, fd, writable=True)
        return _is_cut(shown, size)

    @staticmethod
    def _copy(node: Inode, target: int, shown: Attributes, size: int) -> Operation[None]:
        """Copy the content to the file *target*, in one blocking step unless it is at hand."""
        place = content_of(node)
        source = place.directory.open(place.name, os.O_RDONLY)
        try:
            copying = functools.partial(_copy_with_times, source, target, shown, size)
            if place.directory.tree.is_at_hand(source, 0, size):
                copying()
            else:
                yield copying
        finally:
            os.close(source)

    def _sync(self, fd: int) -> Operation[None]:
        """Have the content and all that was set before on the device, unless the mount is volatile."""
        if not self._volatile:
            yield functools.partial(os.fsync, fd)

    @staticmethod
    def _set_size(place: Place, size: int) -> None:
        fd = place.directory.open(place.name, os.O_WRONLY)
        try:
            os.ftruncate(fd, size)
        finally:
            os.close(fd)

    def _mark_metacopy(self, staged: bytes, shown: Attributes) -> None:
        work = self._upper.work
        self._set_size(Place(work, staged), shown.size)
        if not self._upper.marking.set(work, staged, private_xattrs.METACOPY, b""):
            raise OSError(errno.EOPNOTSUPP, "the upper can't keep the mark of a metacopy")

    def _link_key(self, node: Inode, links: int) -> bytes | None:
        """Give the index's key of a lower file that has *links* names, if those are several."""
        if node.link_key is None and links > 1:
            node.link_key, node.lower_links = self._upper.links.key(*node.place), links
        return node.link_key

    def _put_file(self, node: Inode, staged: bytes, mode: int, inode: int) -> Place:
        """Put the staged file at the name by which it is known, and give the place at which it is reached.

        One with several lower names goes into the index first; one whose name is gone stays in the workdir.
        """
        parent, name, key = node.parent, node.name, node.link_key
        if key is not None:
            if parent is not None:
                # It may be known by another name than before its content was copied.
                self.directory(parent)
            with self._upper.links.adopting(key, staged, node.lower_links):
                if parent is not None:
                    self.link_at_lower_name(node, parent, name)
            return Place(self._upper.links.directory, key)
        if parent is None or parent.upper is None:
            node.parked = True
            return Place(self._upper.work, staged)
        self._put(staged, parent, name, is_directory=False)
        self._note(parent, name, mode, inode)
        return Place(parent.upper, name)

    def link_at_lower_name(self, node: Inode, parent: DirectoryInode, name: bytes) -> None:
        """Give the indexed file a name of the upper in the place of the lower name that shows there."""
        assert parent.upper is not None
        assert node.link_key is not None
        upper, key = self._upper, node.link_key
        before = parent.upper.status()
        with (
            upper.links.change(key, node.lower_links, hidden=1, upper=1),
            upper.metadata.letting_in(parent.upper),
        ):
            upper.link(upper.links.directory, key, parent.upper, name, over_whiteout=False)
        keep_times(parent.upper, before)
        self._note(parent, name, node.type_bits, node.real.inode)

    def _become_upper(self, node: Inode, place: Place, real: Identity, marks: Marks | None, *, content: bool) -> None:
        """Let the tables follow: *node* is the file of the upper at *place*."""
        if not content and not node.is_metacopy:
            node.content = node.place
            node.lower_path = node.parent.lower_path + b"/" + node.name if node.parent is not None else b""
        node.is_metacopy = not content
        if content:
            node.content = None
        node.lower = node.real
        node.place, node.in_upper = place, True
        self._nodes.files.drop(node.number)
        self._note_record(node, marks)
        self._nodes.table.move(node, real)

    # Moving.

    @staticmethod
    def is_movable(node: AnyInode) -> bool:
        """Tell whether *node* can take another name at once: a directory can, once it is one of the upper."""
        if isinstance(node, DirectoryInode):
            return True
        return node.in_upper and node.copying is None and (not node.is_metacopy or _fits_redirect(node.lower_path))

    def make_movable(self, node: AnyInode) -> Operation[None]:
        """Copy *node* up as far as it has to be before it takes another name.

        The content of a metacopy comes too where its path beneath is longer than overlayfs reads in a redirect.

        Raises:
            OSError: ENOSPC and others of copying.
        """
        yield from self.inode(node, content=False)
        if not self.is_movable(node):
            yield from self.inode(node)

    def record_move(self, node: Inode) -> None:
        """Record on a metacopy, before it takes another name, where its content is beneath."""
        if node.is_metacopy and not self._upper.marking.set(*node.place, private_xattrs.REDIRECT, node.lower_path):
            raise OSError(errno.EOPNOTSUPP, "the upper can't keep the redirect of a metacopy")

    def _content_of_metacopy(self, node: Inode, size: int | None) -> Operation[bool]:
        """Bring the content to the metadata that are in the upper; the mark goes last, so a crash shows the old."""
        shown = self._nodes.attributes(node)
        capabilities = node.place.directory.xattr(node.place.name, private_xattrs.CAPABILITY)
        with _held_back(node), contextlib.ExitStack() as opened:
            fd = _opened_with(opened, node.place)
            try:
                yield from self._copy(node, fd, shown, _length(shown, size))
                yield from self._sync(fd)
                _give_back(node.place, capabilities)
                _cut(fd, shown, size)
                self._upper.marking.remove(*node.place, private_xattrs.METACOPY)
            except BaseException:
                if _is_cut(shown, size):
                    os.ftruncate(fd, shown.size)
                    set_times(*node.place, shown.atime_ns, shown.mtime_ns)
                _give_back(node.place, capabilities)
                raise
            node.is_metacopy, node.content = False, None
            opened.pop_all()
            self._nodes.files.add(node.number, fd, writable=True)
            self._drop_redirect(node)
        return _is_cut(shown, size)

    def _drop_redirect(self, node: Inode) -> None:
        """Remove where the content was; the copy is done, and on a whole file that says nothing."""
        try:
            self._upper.marking.remove(*node.place, private_xattrs.REDIRECT)
        except OSError as error:
            _log.warning("a copied-up file keeps a redirect: %s", error)


def _opened_with(stack: contextlib.ExitStack, place: Place) -> int:
    fd = place.directory.open(place.name, os.O_RDWR)
    stack.callback(os.close, fd)
    return fd


def _is_cut(shown: Attributes, size: int | None) -> bool:
    """Tell whether *size*, which a file is to be truncated to, is less than it has."""
    return size is not None and size < shown.size


def _length(shown: Attributes, size: int | None) -> int:
    return shown.size if size is None else min(size, shown.size)


def _cut(fd: int, shown: Attributes, size: int | None) -> None:
    """Truncate the copy, by which the kernel changes its time and takes capabilities away."""
    if size is not None and size < shown.size:
        os.ftruncate(fd, size)


def _give_back(place: Place, capabilities: bytes | None) -> None:
    """Set the capabilities again that writing cleared, since it wasn't the user who wrote."""
    if capabilities is not None:
        xattrs.set_(place.directory.path(place.name), private_xattrs.CAPABILITY, capabilities)


def content_of(node: Inode) -> Place:
    """Give where the content of *node* is.

    Raises:
        OSError: EIO where the layers beneath lack it.
    """
    place = node.content if node.is_metacopy else node.place
    if place is None:
        raise OSError(errno.EIO, "the content of this file is missing in the layers beneath")
    return place


def _copy_with_times(source: int, target: int, shown: Attributes, size: int) -> None:
    try:
        copy_content(source, target, size)
    finally:
        os.utime(target, ns=(shown.atime_ns, shown.mtime_ns))


@contextlib.contextmanager
def _held_back(node: Inode) -> Iterator[None]:
    """Let other operations that change *node* or its names wait until this one is done, the tables included."""
    gate = node.copying = Gate()
    try:
        yield
    finally:
        node.copying = None
        gate.open()


def _fits_redirect(path: bytes) -> bool:
    return 0 < len(path) <= REDIRECT_MAX
