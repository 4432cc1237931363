"""Giving a layer what depends on the layers beneath it, once they are complete.

Owns three rules. A directory that the archive has no entry for shows what it shows beneath. A whiteout that hides
nothing isn't kept, nor a directory made for its sake. A hard link to a file beneath becomes a copy of it.
"""

import os
from collections.abc import Sequence

from unionfs.layer.abilities import Abilities
from unionfs.layer.directory import Directory
from unionfs.layer.entry import Kind
from unionfs.layer.ownership import Ownership
from unionfs.layer.unpack import below
from unionfs.layer.unpack.below import Beneath
from unionfs.layer.unpack.descent import Descent, remove_tree
from unionfs.layer.unpack.inode import InodeWriter
from unionfs.layer.unpack.lower_links import LowerLinks, xattrs_shown
from unionfs.layer.unpack.notes import Notes
from unionfs.layer.unpack.staging import LINKS, ROOT, Staging
from unionfs.layer.unpack.unsettled import Implied, Unsettled
from unionfs.layer.unpack.whiteouts import Whiteouts
from unionfs.layer.whiteout import OPAQUE_MARKER
from unionfs.linux.files import descriptor_path
from unionfs.tar import Limits


class _Visit:
    """A directory of the layer while what lies in it is settled. ``left`` counts what it holds."""

    __slots__ = ("beneath", "changed", "children", "implied", "left", "name", "times")

    def __init__(self, found: os.stat_result, name: bytes, beneath: Beneath, implied: Implied | None) -> None:
        self.name = name
        self.beneath = beneath
        self.implied = implied
        self.times = (found.st_atime_ns, found.st_mtime_ns)
        self.children: list[bytes] = []
        self.left = 0
        self.changed = False


def settle(
    staging: Staging, unsettled: Unsettled, lowers: Sequence[Directory], abilities: Abilities, limits: Limits
) -> None:
    """Complete the layer in *staging*, which is put on *lowers*: settled layers, as ``put_on`` gives them.

    What is copied from them is bounded by *limits* too.

    Raises:
        LayerError: the target of a hard link isn't there or can't be copied.
        OSError: a layer can't be read, or this one not be written.
    """
    notes = Notes()
    beneath = below.roots(lowers)
    settlement = _Settlement(staging, unsettled, InodeWriter(abilities, notes), Whiteouts(abilities))
    with Descent(staging.directory(ROOT)) as place:
        if unsettled.links:
            settlement.fill_links(beneath, limits.bytes)
        if not unsettled.has_root and beneath:
            settlement.inherit(place, beneath)
        if settlement.is_needed:
            settlement.walk(place, beneath)
    staging.discard_aside()
    unsettled.warnings += notes.lines()


class _Settlement:
    """Goes through the directories of one layer, each before and after what lies in it."""

    def __init__(self, staging: Staging, unsettled: Unsettled, inodes: InodeWriter, whiteouts: Whiteouts) -> None:
        self._staging = staging
        self._unsettled = unsettled
        self._inodes = inodes
        self._whiteouts = whiteouts
        self._replacements: dict[int, bytes] = {}

    @property
    def is_needed(self) -> bool:
        """Whether any directory has something to settle."""
        return bool(self._unsettled.implied or self._unsettled.whiteouts or self._replacements)

    def fill_links(self, beneath: Beneath, limit: int) -> None:
        """Put the content, of at most *limit* bytes, into the files that stand for hard links to files beneath."""
        links = LowerLinks(self._staging.directory(LINKS), beneath, self._inodes, limit)
        self._replacements = links.fill()

    def inherit(self, place: Descent, beneath: Beneath) -> tuple[int, int]:
        """Let the directory at *place* show what the one beneath it shows; give its access and modification time."""
        lower = beneath[0].directory
        attributes, _ = lower.examine()
        self._inodes.write(place.fd, Ownership.of(attributes), xattrs_shown(lower), lower.name)
        times = attributes.atime_ns, attributes.mtime_ns
        os.utime(place.fd, ns=times)
        return times

    def walk(self, place: Descent, beneath: Beneath) -> None:
        """Settle all directories from the root at *place* down; memory grows with the depth and the widest of them."""
        visits = [self._enter(place, b"", beneath)]
        while True:
            visit = visits[-1]
            if visit.children:
                name = visit.children.pop()
                place.down(name)
                visits.append(self._enter(place, name, below.descend(visit.beneath, name)))
                continue
            visits.pop()
            above = visits[-1] if visits else None
            idle = above is not None and self._is_idle(visit, above)
            if visit.changed and not idle:
                os.utime(place.fd, ns=visit.times)
            if above is None:
                return
            place.up()
            if idle:
                self._remove(place.fd, visit, above)

    def _enter(self, place: Descent, name: bytes, beneath: Beneath) -> _Visit:
        visit = _Visit(place.status, name, beneath, self._unsettled.implied.get(place.status.st_ino))
        if visit.implied is not None and Implied.INHERITS in visit.implied and beneath:
            visit.times = self.inherit(place, beneath)
        if self._whiteouts.is_opaque(place.fd):
            visit.beneath = ()
        while self._settle_names(place.fd, visit):
            visit.changed = True
        return visit

    def _settle_names(self, fd: int, visit: _Visit) -> bool:
        """Settle what isn't a directory, and note what is; tell whether a name was removed, which listings may skip."""
        visit.children, visit.left = [], 0
        removed = False
        with os.scandir(descriptor_path(fd)) as listing:
            for found in listing:
                visit.left += found.name != OPAQUE_MARKER
                if found.is_dir(follow_symlinks=False):
                    visit.children.append(found.name)
                    continue
                hidden = self._whiteouts.hidden_by(fd, found)
                if hidden is None:
                    visit.changed |= self._settle_link(fd, found.name)
                elif below.find(visit.beneath, hidden) is None:
                    self._whiteouts.remove(fd, hidden)
                    removed = True
        return removed

    def _settle_link(self, fd: int, name: bytes) -> bool:
        """Put what a lower file's stand-in couldn't become in its place; tell whether it is such a one."""
        if not self._replacements:
            return False
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        replacement = self._replacements.get(found.st_ino)
        if replacement is None:
            return False
        os.unlink(name, dir_fd=fd)
        os.link(replacement, name, src_dir_fd=self._staging.directory(LINKS), dst_dir_fd=fd, follow_symlinks=False)
        return True

    def _is_idle(self, visit: _Visit, above: _Visit) -> bool:
        """Tell whether the directory was made for whiteouts alone and hides nothing that showed.

        One that stands where a lower layer has something else stays: who wrote the layer saw a directory there.
        """
        if visit.implied is None or Implied.WANTED in visit.implied or visit.left:
            return False
        if Implied.INHERITS not in visit.implied:
            return True
        found = below.find(above.beneath, visit.name)
        return found is None or found[1].kind is Kind.DIR

    def _remove(self, above_fd: int, visit: _Visit, above: _Visit) -> None:
        remove_tree(above_fd, visit.name)
        above.changed = True
        above.left -= 1
        replaced = Implied.INHERITS not in (visit.implied or Implied(0))
        if replaced and below.find(above.beneath, visit.name) is not None:
            self._whiteouts.write(above_fd, visit.name)
            above.left += 1
