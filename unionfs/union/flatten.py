"""Flattening: an upper of this program becomes one that shows the same to every overlay over the same lowers.

Owns what comes from the layers beneath: the content of metadata-only files, what renamed directories show, and the
further names of hard links. Data first and marks last: whenever the process is killed, a mount shows what it showed,
and a further run completes it. ``layer.plain`` owns how the upper is marked in the end.
"""

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from unionfs.layer.directory import Directory
from unionfs.layer.entry import Kind
from unionfs.layer.kept import kept
from unionfs.layer.plain import Plain, needs
from unionfs.layer.upper import Upper
from unionfs.layer.walk import listing, path_of, walk
from unionfs.linux.copy import copy_content
from unionfs.linux.files import reopen, sync_file_system
from unionfs.union.copy_up import CopyUp
from unionfs.union.inode import DirectoryInode, Identity, Inode
from unionfs.union.lowers import Lowers
from unionfs.union.nodes import Nodes
from unionfs.union.open_files import OpenFiles
from unionfs.union.origin import Origin
from unionfs.union.step import run


class FlattenError(OSError):
    """The upper can't be flattened; ``strerror`` is the sentence to show, ``filename`` a path in the upper."""


class LowersNeededError(FlattenError):
    """The lower layers are needed, and weren't given."""


@dataclass(slots=True)
class Copied:
    """What was brought up: directories, files with their bytes, and further names of files."""

    directories: int = 0
    files: int = 0
    bytes: int = 0
    links: int = 0


def flatten(upper: Upper, lowers: Sequence[Directory], progress: Callable[[Copied], None]) -> Copied:
    """Make *upper*, which is mounted nowhere, plain; *lowers*, topmost first, may be empty where none is needed.

    *progress* is called again and again with the counts so far.

    Raises:
        LowersNeededError: no lowers were given, and some are needed.
        FlattenError: the lowers don't hold what is needed, or the file system can't hold overlayfs's marks.
        OSError: reading or copying failed; what shows is the same, and a further run completes it.
    """
    namespace = upper.abilities.namespace
    if namespace is None:
        raise FlattenError(errno.EOPNOTSUPP, "the file system of the upper can't hold the marks of overlayfs")
    if not lowers:
        _refuse_needs(upper)
    filling = _Filling(upper, lowers, namespace, progress)
    upper.workdir.begin_flattening()
    filling.fill()
    filling.complete_links()
    _sync(upper)
    upper.links.remove()
    Plain(upper, namespace).make()
    _sync(upper)
    upper.workdir.end_flattening()
    return filling.copied


def _refuse_needs(upper: Upper) -> None:
    for need in needs(upper.root):
        raise LowersNeededError(errno.EINVAL, need.reason, need.path)
    if upper.links.with_lower_names():
        raise LowersNeededError(errno.EINVAL, "some of its hard links are in the lower layers", b"")


def refuse_links(upper: Upper) -> None:
    """Refuse an upper whose hard links are kept in a workdir, which isn't the one it was opened with.

    Raises:
        FlattenError: there is such a link.
    """
    for directory in walk(upper.root):
        for entry in listing(directory):
            if entry.is_dir(follow_symlinks=False):
                continue
            origin = Origin.parse(directory.marks(entry.name).origin)
            if origin is not None and origin.link_key is not None:
                raise FlattenError(
                    errno.EINVAL,
                    "it has hard links, which are kept in the workdir of its mount",
                    path_of(directory, entry.name),
                )


def _sync(upper: Upper) -> None:
    fd = reopen(upper.root.fd(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync_file_system(fd)
    finally:
        os.close(fd)


class _Filling:
    """Brings to the upper what it takes from the layers beneath, while what shows stays the same."""

    def __init__(
        self, upper: Upper, lowers: Sequence[Directory], namespace: bytes, progress: Callable[[Copied], None]
    ) -> None:
        self._upper = upper
        self._nodes = Nodes(upper, Lowers(lowers, follow_redirects=True), OpenFiles(0))
        # What is copied is synced all at once before the first mark goes.
        self._copy_up = CopyUp(self._nodes, upper, metacopy=False, volatile=True)
        self._namespace = namespace
        self._progress = progress
        self._filled: set[Identity] = set()
        self.copied = Copied()

    def fill(self) -> None:
        """Copy the content of every metadata-only file, and everything in renamed directories.

        Raises:
            FlattenError: the layers beneath don't hold what a mark leads to.
        """
        pending = [(self._held(self._nodes.root), False)]
        while pending:
            directory, whole = pending.pop()
            for name in self._names(directory, whole=whole):
                node = self._nodes.existing(directory, name)
                if isinstance(node, Inode):
                    self._fill_file(node, directory, name, whole=whole)
                    self._nodes.drop_if_unknown(node)
                    continue
                beneath = whole or self._is_redirected(node)
                if beneath:
                    self._into_upper(node)
                if node.upper is not None:
                    pending.append((self._held(node), beneath))
            self._nodes.forget(directory, 1)

    @staticmethod
    def _held(node: DirectoryInode) -> DirectoryInode:
        """Keep *node* known, as if the kernel knew it, until it is forgotten."""
        node.lookups += 1
        return node

    def _names(self, directory: DirectoryInode, *, whole: bool) -> list[bytes]:
        """Give the names of the upper, or all names that show."""
        contents = self._nodes.contents(directory)
        if whole:
            return [name for name, _ in contents.listing.after(0)]
        return [name for name, entry in contents.upper.items() if entry.kind is not Kind.WHITEOUT]

    def _is_redirected(self, node: DirectoryInode) -> bool:
        if node.upper is None:
            return False
        marks = node.upper.marks()
        if marks.redirect is None or node.upper.is_opaque(marks):
            return False
        if not node.lowers:
            raise FlattenError(
                errno.ENOENT, "what was renamed to it isn't in the lower layers given: name all of them", _path(node)
            )
        return True

    def _fill_file(self, node: Inode, directory: DirectoryInode, name: bytes, *, whole: bool) -> None:
        if node.in_upper and node.is_metacopy:
            self._fill_content(node)
        elif whole:
            self._file_into_upper(node, directory, name)

    def _fill_content(self, node: Inode) -> None:
        """Bring the content beside the metadata; it shows when the mark goes."""
        if node.real in self._filled:
            return
        if node.content is None:
            raise FlattenError(
                errno.ENOENT, "its content isn't in the lower layers given: name all of them", _path(node)
            )
        shown = self._nodes.attributes(node)
        source = node.content.directory.open(node.content.name, os.O_RDONLY)
        try:
            with kept(self._namespace, *node.place):
                target = node.place.directory.open(node.place.name, os.O_WRONLY)
                try:
                    copy_content(source, target, shown.size)
                finally:
                    os.close(target)
        finally:
            os.close(source)
        self._filled.add(node.real)
        self._count(files=1, size=shown.size)

    def complete_links(self) -> None:
        """Give every name of a file that the index holds an entry of the upper."""
        pending = [self._held(self._nodes.root)]
        while pending:
            directory = pending.pop()
            if self._upper.links.with_lower_names():
                pending += [self._held(child) for child in self._complete_links_in(directory)]
            self._nodes.forget(directory, 1)

    def _complete_links_in(self, directory: DirectoryInode) -> list[DirectoryInode]:
        """Complete the links among the lower names of *directory*, and give the directories to go on with."""
        beneath: list[DirectoryInode] = []
        for name, _ in list(self._nodes.contents(directory).listing.after(0)):
            entry = self._nodes.contents(directory).get(name)
            assert entry is not None
            if entry.kind is Kind.DIR:
                node = self._nodes.existing(directory, name)
                assert isinstance(node, DirectoryInode)
                if node.lowers:
                    beneath.append(node)
                else:
                    self._nodes.drop_if_unknown(node)
            elif entry.directory.tree.position >= 0 and self._is_incomplete(entry.directory, name):
                file = self._nodes.existing(directory, name)
                assert isinstance(file, Inode)
                self._into_upper(directory)
                self._file_into_upper(file, directory, name)
                self._nodes.drop_if_unknown(file)
        return beneath

    def _is_incomplete(self, directory: Directory, name: bytes) -> bool:
        links = self._upper.links
        return directory.status(name).st_nlink > 1 and links.has_lower_names(links.key(directory, name))

    # Into the upper, with the times of the directories above kept.

    def _into_upper(self, node: DirectoryInode) -> None:
        missing: list[DirectoryInode] = []
        above: DirectoryInode | None = node
        while above is not None and above.upper is None:
            missing.append(above)
            above = above.parent
        for directory in reversed(missing):
            assert directory.parent is not None
            assert directory.parent.upper is not None
            with kept(self._namespace, directory.parent.upper):
                self._copy_up.directory(directory)
            self._count(directories=1)

    def _file_into_upper(self, node: Inode, directory: DirectoryInode, name: bytes) -> None:
        """Have the file, with its content, in the upper, and *name* as one of its names there."""
        assert directory.upper is not None
        with kept(self._namespace, directory.upper):
            if not node.in_upper:
                run(self._copy_up.inode(node))
                shown = self._nodes.attributes(node)
                self._count(files=1, size=shown.size if shown.is_regular else 0)
            if name not in self._nodes.contents(directory).upper:
                self._copy_up.link_at_lower_name(node, directory, name)
                self._count(links=1)

    def _count(self, *, directories: int = 0, files: int = 0, size: int = 0, links: int = 0) -> None:
        self.copied.directories += directories
        self.copied.files += files
        self.copied.bytes += size
        self.copied.links += links
        self._progress(self.copied)


def _path(node: DirectoryInode | Inode) -> bytes:
    """Give the path of *node* from the root of the mount."""
    parts: list[bytes] = []
    above: DirectoryInode | Inode | None = node
    while above is not None and above.parent is not None:
        parts.append(above.name)
        above = above.parent
    return b"/".join(reversed(parts))
