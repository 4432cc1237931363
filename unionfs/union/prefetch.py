"""Which files will be read next, where those of a directory are read one after another (tar, grep -r, cp -r).

Owns telling such reading from others, by the order in which the directory is listed, and how far ahead of it content is
read. Once content is found in memory, nothing more is read ahead.
"""

import functools
from collections import OrderedDict, deque
from itertools import islice

from unionfs.layer.ahead import Route, read_content
from unionfs.layer.directory import Directory
from unionfs.layer.entry import Kind
from unionfs.union.contents import Contents
from unionfs.union.inode import DirectoryInode, Inode
from unionfs.union.step import Aside

# How many files are expected at a time, and when so few are left that more are.
_FILES = 16
_FEW = 8
# How many entries are looked through for them; the others are directories, links, and so on.
_ENTRIES = 256
# So many files, one after another, make reading in order.
_IN_ORDER = 2
# So many that weren't expected make reading in no order.
_LOST = 4
_DIRECTORIES = 64
_UNDER_WAY = 2
_BYTES = 4 << 20


class _Reading:
    """How the files of one directory are being read."""

    __slots__ = ("behind", "expected", "in_order", "is_cold", "lost", "unread")

    def __init__(self) -> None:
        # What comes next in listing order, of which the last *unread* weren't read ahead; from where on there is more.
        self.expected: deque[bytes] = deque()
        self.unread = 0
        self.behind = 0
        self.in_order = 0
        self.lost = 0
        self.is_cold = True

    def follows(self, name: bytes) -> bool:
        """Go on to *name*, and tell whether it was expected."""
        if name not in self.expected:
            return False
        while self.expected.popleft() != name:
            continue
        self.unread = min(self.unread, len(self.expected))
        self.in_order += 1
        return True

    def start_at(self, cookie: int) -> None:
        """Expect what comes behind *cookie*."""
        self.expected.clear()
        self.unread = 0
        self.behind = cookie
        self.in_order = 0

    def expect_more(self, contents: Contents) -> None:
        """Expect the next files of *contents*."""
        for name, cookie in islice(contents.listing.after(self.behind), _ENTRIES):
            if len(self.expected) >= _FILES:
                return
            self.behind = cookie
            if _is_file(contents, name):
                self.expected.append(name)
                self.unread += 1


class Prefetch:
    """Reads ahead what is likely to be read next."""

    def __init__(self) -> None:
        self._readings: OrderedDict[int, _Reading] = OrderedDict()
        self._in_order = False
        self._under_way = 0

    def note(self, node: Inode, *, cold: bool) -> Aside | None:
        """Learn that *node* begins to be read, *cold* where it wasn't in memory; give what is to be read ahead."""
        parent = node.parent
        if parent is None or parent.contents is None:
            return None
        reading = self._readings.get(parent.number)
        if reading is None:
            if not cold:
                return None
            reading = self._begin(parent)
        elif reading.lost >= _LOST:
            return None
        else:
            self._readings.move_to_end(parent.number)
        if not reading.follows(node.name):
            self._start(reading, parent.contents, node.name)
        reading.is_cold |= cold
        if len(reading.expected) <= _FEW:
            reading.expect_more(parent.contents)
        if reading.in_order < _IN_ORDER or not reading.is_cold:
            return None
        self._in_order = True
        return self._read_ahead(reading, parent.contents)

    def _begin(self, parent: DirectoryInode) -> _Reading:
        if len(self._readings) >= _DIRECTORIES:
            self._readings.popitem(last=False)
        reading = self._readings[parent.number] = _Reading()
        return reading

    def _start(self, reading: _Reading, contents: Contents, name: bytes) -> None:
        """Start anew at *name*: in order at once where directories have been read so before, and it is the first."""
        cookie = contents.listing.cookie(name)
        if cookie is None:
            return
        reading.start_at(cookie)
        names = (other for other, _ in islice(contents.listing.after(0), _ENTRIES))
        first = next((other for other in names if _is_file(contents, other)), None)
        if self._in_order and name == first and not reading.lost:
            reading.in_order = _IN_ORDER
        else:
            self._in_order = False
        reading.lost += 1

    def _read_ahead(self, reading: _Reading, contents: Contents) -> Aside | None:
        if not reading.unread or self._under_way >= _UNDER_WAY:
            return None
        by_directory: dict[Directory, list[bytes]] = {}
        for name in list(reading.expected)[-reading.unread :]:
            entry = contents.get(name)
            if entry is not None:
                by_directory.setdefault(entry.directory, []).append(name)
        reading.unread = 0
        self._under_way += 1
        wanted = [(Route.to(directory), names) for directory, names in by_directory.items()]
        return Aside(functools.partial(read_content, wanted, _BYTES), functools.partial(self._learn, reading))

    def _learn(self, reading: _Reading, missing: int | None) -> None:
        """Learn that of what was read ahead *missing* files weren't in memory; None: it can't be told."""
        self._under_way -= 1
        if missing == 0:
            reading.is_cold = False


def _is_file(contents: Contents, name: bytes) -> bool:
    entry = contents.get(name)
    return entry is not None and entry.kind is Kind.FILE
