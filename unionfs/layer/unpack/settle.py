"""Giving a layer what depends on the layers beneath it, once they are complete.

Owns three rules. A directory that the archive has no entry for shows what it shows beneath. A whiteout that hides
nothing isn't kept, nor a directory made for its sake. A hard link to a file beneath becomes a copy of it.
"""

import os
from collections.abc import Sequence

from unionfs.layer.abilities import Abilities
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import SELF, Directory, Tree
from unionfs.layer.entry import Kind
from unionfs.layer.metadata import set_times
from unionfs.layer.ownership import Ownership
from unionfs.layer.unpack import below
from unionfs.layer.unpack.below import Beneath
from unionfs.layer.unpack.inode import InodeWriter
from unionfs.layer.unpack.lower_links import LowerLinks, xattrs_shown
from unionfs.layer.unpack.notes import Notes
from unionfs.layer.unpack.staging import LINKS, ROOT, Staging
from unionfs.layer.unpack.tree import DIRECTORY, remove_tree
from unionfs.layer.unpack.unsettled import Implied, Unsettled
from unionfs.layer.unpack.whiteouts import Whiteouts
from unionfs.layer.whiteout import OPAQUE_MARKER
from unionfs.tar import Limits

_OPEN = 64


class _Visit:
    """A directory of the layer while what lies in it is settled."""

    __slots__ = ("beneath", "changed", "children", "directory", "implied", "inode", "name", "times")

    def __init__(self, directory: Directory, name: bytes, beneath: Beneath) -> None:
        found = directory.status()
        self.inode = found.st_ino
        self.directory = directory
        self.name = name
        self.beneath = beneath
        self.times = (found.st_atime_ns, found.st_mtime_ns)
        self.children: list[bytes] = []
        self.changed = False
        self.implied: Implied | None = None


def settle(
    staging: Staging, unsettled: Unsettled, lowers: Sequence[Directory], abilities: Abilities, limits: Limits
) -> None:
    """Complete the layer in *staging*, whose lower layers are *lowers*, the topmost first, themselves settled.

    What is copied from them is bounded by *limits* too.

    Raises:
        LayerError: the target of a hard link isn't there or can't be copied.
        OSError: a layer can't be read, or this one not be written.
    """
    notes = Notes()
    descriptors = Descriptors(_OPEN)
    root_fd = os.dup(staging.directory(ROOT))
    try:
        tree = Tree(descriptors, os.fstat(root_fd).st_dev, position=0, confined=False)
        root = Directory(tree, None, b"", root_fd)
        beneath = below.roots(lowers)
        settlement = _Settlement(staging, unsettled, abilities, notes)
        if unsettled.links:
            settlement.fill_links(beneath, limits.bytes)
        if not unsettled.has_root:
            settlement.settle_root(root, beneath)
        if settlement.is_needed:
            settlement.walk(root, beneath)
    finally:
        descriptors.close()
        os.close(root_fd)
    staging.discard_aside()
    unsettled.warnings += notes.lines()


class _Settlement:
    """Goes through the directories of one layer, each before and after what lies in it."""

    def __init__(self, staging: Staging, unsettled: Unsettled, abilities: Abilities, notes: Notes) -> None:
        self._staging = staging
        self._unsettled = unsettled
        self._inodes = InodeWriter(abilities, notes)
        self._whiteouts = Whiteouts(abilities)
        self._replacements: dict[int, bytes] = {}

    @property
    def is_needed(self) -> bool:
        """Whether any directory has something to settle."""
        return bool(self._unsettled.implied or self._unsettled.whiteouts or self._replacements)

    def fill_links(self, beneath: Beneath, limit: int) -> None:
        """Put the content, of at most *limit* bytes, into the files that stand for hard links to files beneath."""
        links = LowerLinks(self._staging.directory(LINKS), beneath, self._inodes, limit)
        self._replacements = links.fill()

    def settle_root(self, root: Directory, beneath: Beneath) -> None:
        """Let the root, which the archive has no entry for, show what the root beneath shows."""
        if beneath:
            self._inherit(root, beneath[0].directory)

    def walk(self, root: Directory, beneath: Beneath) -> None:
        """Settle all directories; memory grows with the depth and the largest directory alone."""
        visits = [self._enter(root, b"", beneath)]
        while True:
            visit = visits[-1]
            if visit.children:
                name = visit.children.pop()
                visits.append(self._enter(visit.directory.child(name), name, below.descend(visit.beneath, name)))
                continue
            visits.pop()
            if visits and self._is_idle(visit, visits[-1]):
                self._remove(visit, visits[-1])
            elif visit.changed:
                set_times(visit.directory, SELF, *visit.times)
            visit.directory.tree.descriptors.drop(visit.directory)
            if not visits:
                return

    def _enter(self, directory: Directory, name: bytes, beneath: Beneath) -> _Visit:
        visit = _Visit(directory, name, beneath)
        visit.implied = self._unsettled.implied.get(visit.inode)
        if visit.implied is not None and Implied.INHERITS in visit.implied and beneath:
            visit.times = self._inherit(directory, beneath[0].directory)
        if directory.is_opaque(directory.marks()):
            visit.beneath = ()
        while self._settle_names(visit):
            visit.changed = True
        return visit

    def _settle_names(self, visit: _Visit) -> bool:
        """Settle what isn't a directory, and note what is; tell whether a name was removed, which listings may skip."""
        visit.children = []
        removed = False
        with os.scandir(visit.directory.path()) as listing:
            for found in listing:
                if found.is_dir(follow_symlinks=False):
                    visit.children.append(found.name)
                    continue
                hidden = self._whiteouts.hidden_by(visit.directory.fd(), found)
                if hidden is not None:
                    removed |= self._settle_whiteout(visit, hidden)
                elif self._replacements:
                    self._settle_link(visit, found.name)
        return removed

    def _settle_whiteout(self, visit: _Visit, name: bytes) -> bool:
        if below.find(visit.beneath, name) is not None:
            return False
        self._whiteouts.remove(visit.directory.fd(), name)
        return True

    def _settle_link(self, visit: _Visit, name: bytes) -> None:
        replacement = self._replacements.get(visit.directory.status(name).st_ino)
        if replacement is None:
            return
        fd = visit.directory.fd()
        os.unlink(name, dir_fd=fd)
        os.link(replacement, name, src_dir_fd=self._staging.directory(LINKS), dst_dir_fd=fd, follow_symlinks=False)
        visit.changed = True

    def _is_idle(self, visit: _Visit, above: _Visit) -> bool:
        """Tell whether the directory was made for whiteouts alone and hides nothing that showed.

        One that stands where a lower layer has something else stays: a path through it made it a directory.
        """
        if visit.implied is None or Implied.WANTED in visit.implied or not _is_empty(visit.directory):
            return False
        if Implied.INHERITS not in visit.implied:
            return True
        found = below.find(above.beneath, visit.name)
        return found is None or found[1].kind is Kind.DIR

    def _remove(self, visit: _Visit, above: _Visit) -> None:
        fd = above.directory.fd()
        remove_tree(fd, visit.name)
        above.changed = True
        replaced = Implied.INHERITS not in (visit.implied or Implied(0))
        if replaced and below.find(above.beneath, visit.name) is not None:
            self._whiteouts.write(fd, visit.name)

    def _inherit(self, directory: Directory, lower: Directory) -> tuple[int, int]:
        """Give *directory* what *lower* shows; return its access and modification time."""
        attributes, _ = lower.examine()
        fd = os.open(SELF, DIRECTORY, dir_fd=directory.fd())
        try:
            self._inodes.write(fd, Ownership.of(attributes), xattrs_shown(lower), directory.name)
        finally:
            os.close(fd)
        times = attributes.atime_ns, attributes.mtime_ns
        set_times(directory, SELF, *times)
        return times


def _is_empty(directory: Directory) -> bool:
    with os.scandir(directory.path()) as listing:
        return all(found.name == OPAQUE_MARKER for found in listing)
