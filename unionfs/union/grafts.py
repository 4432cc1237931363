"""Other stacks of layers in the place of directories of a read-only stack.

Owns where a graft begins, and that a layer which shows in several of them is numbered apart in each. Beneath its first
directory a graft is a stack as any other.
"""

from collections.abc import Sequence
from typing import NamedTuple

from unionfs.layer.appearance import Appearance, device_at
from unionfs.layer.directory import Directory, Tree
from unionfs.layer.entry import Entry, Kind
from unionfs.layer.upper import Upper
from unionfs.union.contents import Contents
from unionfs.union.inode import DirectoryInode
from unionfs.union.lowers import Lowers
from unionfs.union.nodes import Nodes, Seen
from unionfs.union.open_files import OpenFiles
from unionfs.union.settings import Settings


class Graft(NamedTuple):
    """What shows at a directory of the stack and beneath it, in its place."""

    path: bytes
    """From the root, without a slash before or behind."""
    lowers: Sequence[Directory]
    """The roots of its layers, the topmost first; they may be those of other grafts too."""


class GraftedNodes(Nodes):
    """The inodes of a mount with grafts; those of the first have the numbers that they have in a mount of their own."""

    def __init__(
        self, lowers: Sequence[Directory], grafts: Sequence[Graft], files: OpenFiles, settings: Settings
    ) -> None:
        self._grafts = {b"/" + graft.path: (place, graft) for place, graft in enumerate(grafts)}
        self._follow = settings.follow_redirects
        self._begun: dict[bytes, Lowers] = {}
        self._stacks: dict[Tree, Lowers] = {}
        super().__init__(None, self._stack(lowers, len(grafts)), files, ino32=settings.ino32)

    def _make_root(self) -> DirectoryInode:
        for place, graft in self._grafts.values():
            for layer in graft.lowers:
                self.table.know_device(device_at(place, layer.tree.device))
        return super()._make_root()

    def _stack(self, layers: Sequence[Directory], place: int) -> Lowers:
        shown = [Appearance.of(layer, place=place, position=position) for position, layer in enumerate(layers)]
        return Lowers(shown, follow_redirects=self._follow)

    def _is_in_graft(self, parent: DirectoryInode) -> bool:
        return parent.lowers[0].tree in self._stacks

    def beneath(self, parent: DirectoryInode) -> Lowers:
        """Give the layers among which what *parent* holds goes on."""
        return self._stacks.get(parent.lowers[0].tree, self.lowers)

    def expected(self, parent: DirectoryInode, name: bytes, entry: Entry) -> tuple[Kind, int]:
        """Give type and number of what shows at *name*; that of a graft's first directory isn't in the listing."""
        if self._is_in_graft(parent):
            return super().expected(parent, name, entry)
        return self._reached(parent, name, entry.kind)

    def _load_directory(self, parent: DirectoryInode, contents: Contents, name: bytes) -> Seen:
        path = parent.lower_path + b"/" + name
        if path not in self._grafts or self._is_in_graft(parent):
            return super()._load_directory(parent, contents, name)
        return self._directory_inode(None, self._begin(path).roots, path)

    def _begin(self, path: bytes) -> Lowers:
        """Give the stack of the graft at *path*, made when it is first asked for: most of many aren't looked into."""
        begun = self._begun.get(path)
        if begun is None:
            place, graft = self._grafts[path]
            begun = self._begun[path] = self._stack(graft.lowers, place)
            self._stacks.update((root.tree, begun) for root in begun.roots)
        return begun


def nodes_of(upper: Upper | None, lowers: Sequence[Directory], settings: Settings, grafts: Sequence[Graft]) -> Nodes:
    """Give the inodes of a stack, in which *grafts* show.

    Raises:
        ValueError: there are grafts in a stack with an upper.
    """
    files = OpenFiles(settings.open_files)
    if not grafts:
        beneath = Lowers(lowers, follow_redirects=settings.follow_redirects)
        return Nodes(upper, beneath, files, ino32=settings.ino32)
    if upper is not None:
        raise ValueError("a stack with an upper has no grafts")
    return GraftedNodes(lowers, grafts, files, settings)


def layers_of(root: DirectoryInode, grafts: Sequence[Graft]) -> tuple[Directory, ...]:
    """Give the roots of the layers that show in *root*, the topmost first, and then those that *grafts* show."""
    grafted = dict.fromkeys(layer for graft in grafts for layer in graft.lowers)
    return (*([root.upper] if root.upper else ()), *root.lowers, *grafted)
