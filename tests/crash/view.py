"""A union driven by paths and without a mount, and what it shows as values that are equal from one run to the next."""

import stat
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.stacks import LONG_AGO
from unionfs.layer.attributes import Attributes
from unionfs.union.step import run
from unionfs.union.table import ROOT
from unionfs.union.union import Caller, Change, Union

Spell = Callable[[str], bytes]
"""Gives the name on disk of a path's component."""


class Shown(NamedTuple):
    """What one path shows. ``mtime`` is None for a time of this run; ``inode`` names the old paths of the same inode.

    What a directory's own file system decides (its size, links and times) is left out.
    """

    mode: int
    owner: tuple[int, int]
    rdev: int
    links: int
    mtime: int | None
    xattrs: Mapping[str, bytes]
    content: bytes
    inode: str


Tree = Mapping[str, Shown]


class View:
    """Operations by path; a component is spelled on disk as ``spell`` says."""

    def __init__(self, union: Union, spell: Spell) -> None:
        self.union = union
        self._spell = spell

    def number(self, path: str) -> int:
        """Look *path* up, as the kernel would. Raises FileNotFoundError."""
        number = ROOT
        for component in path.split("/"):
            found = self.union.lookup(number, self._spell(component))
            if found is None:
                raise FileNotFoundError(path)
            number = found.ino
        return number

    def place(self, path: str) -> tuple[int, bytes]:
        """Give the directory's number and the name on disk."""
        above, _, name = path.rpartition("/")
        return (self.number(above) if above else ROOT), self._spell(name)

    def write(self, path: str, offset: int, content: bytes) -> None:
        """Write into the file that is there."""
        run(self.union.write(self.number(path), offset, content, keep_set_id=True))

    def open(self, path: str, flags: int) -> None:
        """Open as a transport with an OPEN request does."""
        run(self.union.open(self.number(path), flags))

    def change(self, path: str, change: Change) -> None:
        """Change attributes."""
        run(self.union.setattr(self.number(path), change, keep_set_id=True))

    def set_xattr(self, path: str, name: str, value: bytes) -> None:
        """Set an extended attribute."""
        run(self.union.setxattr(self.number(path), name.encode(), value, 0))

    def create(self, path: str, mode: int, *, owner: tuple[int, int] = (0, 0), target: bytes = b"") -> None:
        """Make an entry of the type in *mode*."""
        self.union.create(*self.place(path), mode, Caller(*owner), target=target)

    def link(self, path: str, new: str) -> None:
        """Give a file another name."""
        run(self.union.link(self.number(path), *self.place(new)))

    def rename(self, path: str, new: str, flags: int = 0) -> None:
        """Rename, having looked both names up, as the kernel does first."""
        for name in (path, new):
            self.union.lookup(*self.place(name))
        run(self.union.rename(*self.place(path), *self.place(new), flags))

    def unlink(self, path: str) -> None:
        """Remove a file's name while the kernel knows the file, and then have it forget the file."""
        number = self.number(path)
        run(self.union.unlink(*self.place(path)))
        self.forget(number)

    def forget(self, number: int) -> None:
        """Drop every reference of the kernel to the inode *number*."""
        node = self.union.nodes.table.get(number)
        if node is not None:
            self.union.forget(number, node.lookups)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        self.union.rmdir(*self.place(path))

    def tree(self, unspell: Callable[[bytes], str]) -> dict[str, tuple[Attributes, Mapping[str, bytes], bytes]]:
        """Read everything that shows."""
        found: dict[str, tuple[Attributes, Mapping[str, bytes], bytes]] = {}
        pending = [("", ROOT)]
        while pending:
            above, directory = pending.pop()
            for name, *_ in self.union.entries(directory, 2):
                path = f"{above}/{unspell(name)}" if above else unspell(name)
                shown = self.union.lookup(directory, name)
                assert shown is not None, f"{path} is listed but isn't there"
                found[path] = (shown, self._xattrs(shown.ino), self._content(shown))
                if shown.is_directory:
                    pending.append((path, shown.ino))
        return found

    def _xattrs(self, number: int) -> Mapping[str, bytes]:
        names = self.union.listxattr(number, lambda: True)
        return {name.decode(): self.union.getxattr(number, name) for name in sorted(names)}

    def _content(self, shown: Attributes) -> bytes:
        if stat.S_ISLNK(shown.mode):
            return self.union.readlink(shown.ino)
        if not shown.is_regular:
            return b""
        content = run(self.union.read(shown.ino, 0, shown.size))
        assert len(content) == shown.size, "a file is shorter than its size says"
        return content


def comparable(tree: Mapping[str, tuple[Attributes, Mapping[str, bytes], bytes]], old: Mapping[int, str]) -> Tree:
    """Turn what ``View.tree`` read into values; *old* names the inodes that were there at first."""
    return {path: _shown(*read, old) for path, read in sorted(tree.items())}


def _shown(shown: Attributes, xattrs: Mapping[str, bytes], content: bytes, old: Mapping[int, str]) -> Shown:
    is_directory = shown.is_directory
    return Shown(
        mode=shown.mode,
        owner=(shown.uid, shown.gid),
        rdev=shown.rdev,
        links=0 if is_directory else shown.nlink,
        mtime=shown.mtime_ns if shown.mtime_ns == LONG_AGO and not is_directory else None,
        xattrs=xattrs,
        content=content,
        inode=old.get(shown.ino, "new"),
    )


def inodes(tree: Mapping[str, tuple[Attributes, Mapping[str, bytes], bytes]]) -> dict[int, str]:
    """Name each inode of what ``View.tree`` read by its paths."""
    names: dict[int, str] = {}
    for path, (shown, _, _) in sorted(tree.items()):
        names[shown.ino] = f"{names[shown.ino]}, {path}" if shown.ino in names else path
    return names
