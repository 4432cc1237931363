"""Which directories will be listed next, where a tree is walked (find, tar, du).

Owns telling a walk from a single listing, and how far ahead of it directories are read: those in the one that is listed
now, and those that follow it, in listing order. Once they are found in memory, nothing more is read ahead.
"""

import functools
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from unionfs.layer.ahead import Route, read_directories
from unionfs.layer.directory import Directory
from unionfs.layer.entry import Kind
from unionfs.union.inode import DirectoryInode
from unionfs.union.step import Aside

# How many directories in one are read ahead at a time, and when so few of them are left that more are.
_AHEAD = 40
_FEW = 20
# How many entries are looked through for them.
_ENTRIES = 256
_DIRECTORIES = 64
_UNDER_WAY = 2
# How many directories, of single layers, are known to be in memory until they are listed.
_KNOWN = 4096


class _Listed:
    """A listed directory: those in it up to the cookie *behind* were read ahead; *ahead* of them aren't listed yet."""

    __slots__ = ("ahead", "behind")

    def __init__(self) -> None:
        self.behind = 0
        self.ahead = 0


class Lookahead:
    """Reads ahead what is likely to be listed next."""

    def __init__(self) -> None:
        self._listed: OrderedDict[int, _Listed] = OrderedDict()
        self._read: OrderedDict[Route, bool] = OrderedDict()
        self._is_cold = False
        self._under_way = 0

    def note(self, directory: DirectoryInode, *, cold: bool) -> Aside | None:
        """Learn that *directory* is listed, *cold* where it came from a disk; give what is to be read ahead."""
        self._is_cold |= cold
        parent = directory.parent
        above = None if parent is None else self._listed.get(parent.number)
        below = self._listed[directory.number] = _Listed()
        if len(self._listed) > _DIRECTORIES:
            self._listed.popitem(last=False)
        if parent is None or above is None:
            return None
        if parent.number in self._listed:
            self._listed.move_to_end(parent.number)
        above.ahead = max(0, above.ahead - 1)
        if not self._is_cold or self._under_way >= _UNDER_WAY:
            return None
        wanted = [*_next_in(directory, below), *_next_in(parent, above)]
        if not wanted:
            return None
        self._under_way += 1
        routes = [Route.to(part) for part in wanted]
        return Aside(functools.partial(read_directories, routes), functools.partial(self._learn, routes))

    def has_read(self, routes: Sequence[Route]) -> bool:
        """Tell whether the directories at *routes* are in memory since they were read ahead, and forget that."""
        known = [self._read.pop(route, False) for route in routes]
        return all(known)

    def forget(self) -> None:
        """Forget which directories were listed or read, and so may be in memory no more."""
        self._listed.clear()
        self._read.clear()

    def _learn(self, routes: Sequence[Route], blocks: int | None) -> None:
        """Learn that reading ahead what is at *routes* took *blocks* from disks; None: it failed."""
        self._under_way -= 1
        if blocks is None:
            return
        if blocks == 0:
            self._is_cold = False
        self._read.update(dict.fromkeys(routes, True))
        while len(self._read) > _KNOWN:
            self._read.popitem(last=False)


def _next_in(parent: DirectoryInode, listed: _Listed) -> Iterator[Directory]:
    """Give where the layers hold the next directories in *parent*."""
    contents = parent.contents
    if contents is None or listed.ahead > _FEW:
        return
    for count, (name, cookie) in enumerate(contents.listing.after(listed.behind)):
        if listed.ahead >= _AHEAD or count >= _ENTRIES:
            return
        listed.behind = cookie
        entry = contents.get(name)
        if entry is None or entry.kind is not Kind.DIR:
            continue
        listed.ahead += 1
        if name in contents.upper:
            yield entry.directory.child(name)
        for lower in contents.lower_parents(name):
            yield lower.child(name)
