"""What shows beneath a layer: the directories of the layers below it, looked at one path component at a time.

A whiteout ends the search in the layers further down, and so does anything that isn't a directory or is opaque. A
symbolic link is never followed, so no path leads out of a layer.
"""

from collections.abc import Iterable, Sequence

from unionfs.layer.directory import Directory
from unionfs.layer.entry import Entry, Kind


class LowerDirectory:
    """A directory of a lower layer that is listed at most once."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self._entries: dict[bytes, Entry] | None = None

    def entry(self, name: bytes) -> Entry | None:
        """Give what stands at *name*, a whiteout too."""
        if self._entries is None:
            self._entries = self.directory.scan()
        return self._entries.get(name)

    def child(self, name: bytes) -> "LowerDirectory":
        """Give the directory *name* in it."""
        return LowerDirectory(self.directory.child(name))

    def is_opaque(self) -> bool:
        """Tell whether nothing further down shows in it."""
        return self.directory.is_opaque(self.directory.marks())


Beneath = Sequence[LowerDirectory]
"""The directories of one path in the layers below, the topmost first, as far as they show."""


def put_on(root: Directory, lowers: Sequence[Directory]) -> Sequence[Directory]:
    """Give the roots of all layers that show, the topmost first, once the layer of *root* is on those of *lowers*.

    Asked once for each layer, this keeps settling a stack from looking at every layer once for every other.
    """
    return (root,) if root.is_opaque(root.marks()) else (root, *lowers)


def roots(lowers: Iterable[Directory]) -> Beneath:
    """Give what is beneath the root of a layer that is put on *lowers*, the layers that show, the topmost first."""
    return [LowerDirectory(lower) for lower in lowers]


def find(beneath: Beneath, name: bytes) -> tuple[LowerDirectory, Entry] | None:
    """Give what shows at *name*, and the directory it is in."""
    for directory in beneath:
        entry = directory.entry(name)
        if entry is not None:
            return None if entry.kind is Kind.WHITEOUT else (directory, entry)
    return None


def descend(beneath: Beneath, name: bytes) -> Beneath:
    """Give what is beneath the directory *name*; nothing where something else shows there."""
    return _shown(_directories(beneath, name))


def _directories(beneath: Beneath, name: bytes) -> Iterable[LowerDirectory]:
    for directory in beneath:
        entry = directory.entry(name)
        if entry is None:
            continue
        if entry.kind is not Kind.DIR:
            return
        yield directory.child(name)


def _shown(directories: Iterable[LowerDirectory]) -> Beneath:
    shown: list[LowerDirectory] = []
    for directory in directories:
        shown.append(directory)
        if directory.is_opaque():
            break
    return shown
