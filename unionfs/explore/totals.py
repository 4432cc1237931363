"""How many bytes the layers put beneath each directory, and take away again.

Owns the one walk that measures all of it, and how much of the result is kept. Bytes are those of regular files; one
with several names counts once in each directory that has some of them beneath it, until the last of these is gone.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from unionfs.layer.directory import Directory
from unionfs.layer.entry import Kind
from unionfs.provenance.columns import Column, Part, column_above, root_column

MOST_KEPT = 50_000
"""Directories whose totals are kept."""


class Flow(NamedTuple):
    """The bytes that one layer brings beneath a directory, and those of the layers below that it takes away."""

    layer: int
    gained: int
    lost: int


class Total(NamedTuple):
    """What the layers do beneath one directory; layers that do nothing there aren't among the flows."""

    flows: tuple[Flow, ...]

    def shown(self, layer: int) -> int:
        """Give the bytes that are beneath the directory in the state of *layer*."""
        return sum(flow.gained - flow.lost for flow in self.flows if flow.layer <= layer)

    def gained(self, layer: int) -> int:
        """Give the bytes that *layer* holds beneath the directory."""
        return sum(flow.gained for flow in self.flows if flow.layer == layer)

    def lost(self, layer: int) -> int:
        """Give the bytes that *layer* takes away."""
        return sum(flow.lost for flow in self.flows if flow.layer == layer)

    @property
    def shipped(self) -> int:
        """The bytes that all layers hold beneath the directory."""
        return sum(flow.gained for flow in self.flows)

    @property
    def wasted(self) -> int:
        """Those of them that don't show in the end."""
        return sum(flow.lost for flow in self.flows)


class Totals:
    """The totals that were measured last, by the directory's path. One thread may measure while another asks."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, Total] = OrderedDict()

    def get(self, path: bytes) -> Total | None:
        """Give the total of the directory *path*; None where it isn't known, or no more."""
        return self._kept.get(path)

    def measure(self, layers: Sequence[Directory], path: bytes = b"") -> Iterator[bytes]:
        """Measure *path* and the directories beneath it; give each as it becomes known, *path* last.

        Raises:
            OSError: a layer can't be read.
        """
        for measured, total in _measured(_column(layers, path)):
            self._kept[measured] = total
            self._kept.move_to_end(measured)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
            yield measured


def _column(layers: Sequence[Directory], path: bytes) -> Column:
    if not path:
        return root_column(layers)
    above, name = column_above(layers, path), path.rpartition(b"/")[2]
    return above.child(name, above.parts(name))


class _Linked(NamedTuple):
    """A file with several names, so many of which were seen; it shows until *gone*, or to the end if that is None."""

    size: int
    names: int
    seen: int
    gone: int | None


@dataclass(slots=True)
class _Level:
    """A directory that is being measured, and what is still to be measured in it."""

    column: Column
    beneath: list[tuple[bytes, list[Part]]] = field(default_factory=list)
    gained: Counter[int] = field(default_factory=Counter)
    lost: Counter[int] = field(default_factory=Counter)
    linked: dict[tuple[int, int], _Linked] = field(default_factory=dict)

    def scan(self) -> None:
        """Count the files of the directory, and note the directories in it."""
        for name, parts in self.column.names().items():
            for part in parts:
                if part.entry.kind is Kind.FILE:
                    self._count(name, part, parts)
            if any(part.entry.kind is Kind.DIR for part in parts):
                self.beneath.append((name, parts))

    def _count(self, name: bytes, part: Part, parts: Sequence[Part]) -> None:
        status = part.entry.directory.status(name)
        loss = self.column.loss(name, part.layer, parts)
        found = _Linked(status.st_size, status.st_nlink, 1, None if loss is None else loss[0])
        self._note((part.layer, status.st_ino), found)

    def _note(self, key: tuple[int, int], found: _Linked) -> None:
        """Note names of the file *key*, a layer and an inode number in it; count it once all of them are known."""
        known = self.linked.pop(key, None)
        if known is not None:
            gone = None if known.gone is None or found.gone is None else max(known.gone, found.gone)
            found = found._replace(seen=found.seen + known.seen, gone=gone)
        if found.seen < found.names:
            self.linked[key] = found
        else:
            self.add(key[0], found)

    def add(self, layer: int, file: _Linked) -> None:
        """Count a file of *layer*."""
        self.gained[layer] += file.size
        if file.gone is not None:
            self.lost[file.gone] += file.size

    def take(self, child: "_Level") -> None:
        """Count what is beneath *child*, a directory in this one that has been measured."""
        self.gained.update(child.gained)
        self.lost.update(child.lost)
        for key, linked in child.linked.items():
            self._note(key, linked)

    def total(self) -> Total:
        """Sum up; files that have names elsewhere too are among it."""
        whole = _Level(self.column, gained=self.gained.copy(), lost=self.lost.copy())
        for (layer, _), linked in self.linked.items():
            whole.add(layer, linked)
        layers = sorted(whole.gained.keys() | whole.lost.keys())
        return Total(tuple(Flow(layer, whole.gained[layer], whole.lost[layer]) for layer in layers))


def _measured(top: Column) -> Iterator[tuple[bytes, Total]]:
    """Give the total of each directory beneath *top*, after those in it, and that of *top* last."""
    levels = [_Level(top)]
    levels[0].scan()
    while levels:
        level = levels[-1]
        if level.beneath:
            name, parts = level.beneath.pop()
            levels.append(_Level(level.column.child(name, parts)))
            levels[-1].scan()
            continue
        yield level.column.path, level.total()
        levels.pop()
        if levels:
            levels[-1].take(level)
