"""The layers beneath the upper, and how a path is found in them.

Owns the order in which layers are asked and what ends it: a whiteout, something that isn't a directory, an opaque
directory; and where a redirect leads (overlayfs, "Redirecting directories" and "Metadata only copy up").
"""

import errno
import os
from collections.abc import Sequence

from unionfs.layer.directory import Directory
from unionfs.layer.entry import Entry, Kind
from unionfs.layer.marks import Marks
from unionfs.union.inode import Place


class Lowers:
    """The stack of read-only layers, topmost first.

    ``roots`` are those that show: a layer with an opaque root hides those beneath it.
    """

    def __init__(self, roots: Sequence[Directory], *, follow_redirects: bool) -> None:
        self.roots = self._until_opaque(roots)
        self._follow = follow_redirects

    def hide(self) -> None:
        """Show none of them: the upper has an opaque root."""
        self.roots = ()

    @staticmethod
    def _until_opaque(directories: Sequence[Directory]) -> tuple[Directory, ...]:
        for count, directory in enumerate(directories, start=1):
            # Of the last too: a layer whose root has a record may hold others.
            if directory.is_opaque(directory.marks()):
                return tuple(directories[:count])
        return tuple(directories)

    def directories(
        self, parents: Sequence[Directory], name: bytes, known: Sequence[Directory] | None = None
    ) -> tuple[Directory, ...]:
        """Give the directories that *name* in the merged *parents* stands for, topmost first.

        *known* are those of *parents* of which a scan said so; they needn't be asked again.

        Raises:
            OSError: EPERM for a redirect that may not be followed, EIO for one that isn't valid.
        """
        found: list[Directory] = []
        asked = list(parents if known is None else known)
        while asked:
            parent = asked.pop(0)
            if known is None:
                entry = parent.lookup(name)
                if entry is None:
                    continue
                if entry.kind is not Kind.DIR:
                    break
            child = parent.child(name)
            found.append(child)
            if self._is_last(child):
                break
            marks = child.marks()
            if child.is_opaque(marks):
                break
            if marks.redirect is not None:
                beneath = [other for other in parents if other.tree.position > child.tree.position]
                parents, name = self.redirected(beneath, marks.redirect, child.tree.position)
                asked, known = list(parents), None
        return tuple(found)

    def _is_last(self, directory: Directory) -> bool:
        return directory.tree.position == self.roots[-1].tree.position

    def redirected(
        self, parents: Sequence[Directory], redirect: bytes, position: int
    ) -> tuple[Sequence[Directory], bytes]:
        """Give the parents and the name at which to go on beneath the layer *position* (-1: the upper).

        Raises:
            OSError: EPERM where redirects aren't followed.
        """
        if not self._follow:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        if not redirect.startswith(b"/"):
            return parents, redirect
        *above, name = redirect[1:].split(b"/")
        found: Sequence[Directory] = [root for root in self.roots if root.tree.position > position]
        for component in above:
            found = self.directories(found, component)
        return found, name

    def content(self, parents: Sequence[Directory], name: bytes, marks: Marks, position: int) -> Place | None:
        """Give where the content of a file is whose metadata alone are at *name* in the layer *position*.

        None where no layer beneath holds it; then the file can't be opened.
        """
        beneath: Sequence[Directory] = [other for other in parents if other.tree.position > position]
        while True:
            if marks.redirect is not None:
                beneath, name = self.redirected(beneath, marks.redirect, position)
            entry = self._topmost(beneath, name)
            if entry is None or entry.kind is not Kind.FILE:
                return None
            marks = entry.directory.marks(name)
            if not marks.metacopy:
                return Place(entry.directory, name)
            position = entry.directory.tree.position
            beneath = [other for other in beneath if other.tree.position > position]

    @staticmethod
    def _topmost(parents: Sequence[Directory], name: bytes) -> Entry | None:
        for parent in parents:
            entry = parent.lookup(name)
            if entry is not None:
                return entry
        return None
