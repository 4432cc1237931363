"""What must be in memory before a request about names can be answered at once.

Owns when directories are read ahead on another thread, and who waits for it. Layers that have been quick are read when
they are asked, since handing work over takes longer than that.
"""

import functools
import time
from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice

from unionfs.layer.ahead import Route, Taken, read_attributes, read_names
from unionfs.layer.directory import Directory
from unionfs.layer.entry import Kind
from unionfs.layer.pace import is_from_memory, is_quick
from unionfs.union.contents import Contents
from unionfs.union.inode import AnyInode, DirectoryInode
from unionfs.union.lookahead import Lookahead
from unionfs.union.nodes import Nodes
from unionfs.union.step import Aside, Gate, Operation

# How many entries of a directory are looked at in one step, and how many directories are remembered for it.
_ENTRIES = 1024
_DIRECTORIES = 64


class Loading:
    """Reads ahead for requests that would have to wait otherwise."""

    def __init__(self, nodes: Nodes, *, prefetch: bool) -> None:
        self._nodes = nodes
        self._lookahead = Lookahead() if prefetch else None
        self._scanning: dict[DirectoryInode, Gate] = {}
        # By a directory's number, up to which cookie its entries were looked at.
        self._seen: OrderedDict[int, int] = OrderedDict()

    def lookup(self, parent: DirectoryInode, name: bytes) -> Operation[None] | None:
        """Give what is to be done before *name* in *parent* is looked up; None: nothing, it can be at once."""
        if name in parent.children or parent.removed is not None or name in (b".", b".."):
            return None
        if parent.contents is None:
            if _are_slow(_parts(parent)):
                return self._for_lookup(parent, name)
            self._scan(parent)
        return self._for_lookup(parent, name) if _are_slow(_holding(self._nodes.contents(parent), name)) else None

    def _for_lookup(self, parent: DirectoryInode, name: bytes) -> Operation[None]:
        yield from self._scanned(parent)
        if parent.contents is not None and name not in parent.children:
            yield from _examined(_holding(parent.contents, name), [name])

    def listing(self, directory: DirectoryInode, cookie: int, *, attributes: bool) -> Operation[None] | None:
        """Give what is to be done before *directory* is listed from *cookie* on, with *attributes* or without."""
        if directory.removed is not None:
            return None
        parts = _parts(directory)
        if not _are_slow(parts):
            cold = directory.contents is None and not is_from_memory(*self._scan(directory))
        elif not cookie and self._lookahead is not None and self._lookahead.has_read(_routes(parts)):
            cold = True
        elif directory.contents is None or (attributes and cookie >= self._seen.get(directory.number, 0)):
            return self._for_listing(directory, cookie, attributes=attributes)
        else:
            return None
        aside = self._look_ahead(directory, cookie, cold=cold)
        return None if aside is None else _only(aside)

    def _look_ahead(self, directory: DirectoryInode, cookie: int, *, cold: bool) -> Aside | None:
        return None if cookie or self._lookahead is None else self._lookahead.note(directory, cold=cold)

    def _for_listing(self, directory: DirectoryInode, cookie: int, *, attributes: bool) -> Operation[None]:
        if directory.contents is None:
            self._seen.pop(directory.number, None)
        yield from self._scanned(directory)
        if directory.contents is None:
            return
        aside = self._look_ahead(directory, cookie, cold=True)
        if aside is not None:
            yield aside
        if not attributes:
            return
        by_part: dict[Directory, list[tuple[int, bytes]]] = {}
        for name, place in islice(directory.contents.listing.after(cookie), _ENTRIES):
            self._seen[directory.number] = place
            entry = directory.contents.get(name)
            if entry is not None and name not in directory.children:
                by_part.setdefault(entry.directory, []).append((entry.inode, name))
        if len(self._seen) > _DIRECTORIES:
            self._seen.popitem(last=False)
        for part, entries in by_part.items():
            # As they lie on the disk, mostly.
            yield from _examined([part], [name for _, name in sorted(entries)])

    def note(self, node: AnyInode, seconds: float, names: int = 1) -> None:
        """Learn that looking at *node*, or at *names* names in it, took *seconds* of the loop's time."""
        if is_quick(seconds, names):
            return
        for part in _parts(node) if isinstance(node, DirectoryInode) else (node.place.directory,):
            part.tree.pace.note(seconds, names)

    def forget(self) -> None:
        """Forget what is known of directories in memory, after the kernel forgot many of them: it needed the room."""
        self._seen.clear()
        if self._lookahead is not None:
            self._lookahead.forget()

    def _scan(self, directory: DirectoryInode) -> tuple[float, int]:
        """Scan *directory* here and now; give the seconds that it took, and the number of names."""
        started = time.perf_counter()
        names = len(self._nodes.contents(directory))
        seconds = time.perf_counter() - started
        self.note(directory, seconds, names)
        return seconds, names

    def _scanned(self, directory: DirectoryInode) -> Operation[None]:
        """Have the names of *directory*; one reads them for all who wait."""
        while directory.contents is None and directory.removed is None:
            gate = self._scanning.get(directory)
            if gate is not None:
                yield gate
                continue
            gate = self._scanning[directory] = Gate()
            try:
                taken: list[Taken] = yield functools.partial(read_names, _routes(_parts(directory)))
                _learn(taken)
                if directory.removed is None:
                    self._nodes.contents(directory)
            finally:
                del self._scanning[directory]
                gate.open()


def _parts(directory: DirectoryInode) -> Sequence[Directory]:
    return directory.lowers if directory.upper is None else (directory.upper, *directory.lowers)


def _holding(contents: Contents, name: bytes) -> Sequence[Directory]:
    """Give where what shows at *name* is held."""
    entry = contents.get(name)
    if entry is None:
        return ()
    lowers = contents.lower_parents(name) if entry.kind is Kind.DIR else ()
    return lowers if entry.directory in lowers else (entry.directory, *lowers)


def _are_slow(parts: Sequence[Directory]) -> bool:
    return any(part.tree.pace.is_slow and not part.tree.in_memory for part in parts)


def _routes(parts: Sequence[Directory]) -> list[Route]:
    return [Route.to(part) for part in parts]


def _only(aside: Aside) -> Operation[None]:
    yield aside


def _examined(parts: Sequence[Directory], names: Sequence[bytes]) -> Operation[None]:
    if parts:
        taken: list[Taken] = yield functools.partial(read_attributes, _routes(parts), names)
        _learn(taken)


def _learn(taken: Sequence[Taken]) -> None:
    for pace, seconds, names in taken:
        pace.note(seconds, names)
