"""What the layers of an image ship that it doesn't show.

Owns how bytes are counted: the size of each regular file, once for all names that it has in its layer, and only where
none of them shows. Work goes with the entries of all layers; memory with what is hidden, and with the files that have
several names.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from unionfs.layer.directory import Directory
from unionfs.layer.entry import Entry, Kind
from unionfs.provenance.columns import Column, Cut, Loss, Part, column_above, root_column


class Hidden(NamedTuple):
    """A file that doesn't show: its size in bytes, the layer that ships it, the one that hides it, how, and by what.

    ``links`` is how many names it has; ``path`` is the first of them.
    """

    path: bytes
    size: int
    layer: int
    hidden_by: int
    loss: Loss
    by: bytes
    links: int = 1


class Waste(NamedTuple):
    """The bytes of files that the layers ship, and those of them that don't show, the largest first."""

    shipped: int
    files: tuple[Hidden, ...]

    @property
    def size(self) -> int:
        """The bytes that don't show."""
        return sum(file.size for file in self.files)

    @property
    def efficiency(self) -> float:
        """The share of the shipped bytes that shows, from 0 to 1; 1 where nothing is shipped."""
        return 1 - self.size / self.shipped if self.shipped else 1.0


@dataclass(slots=True)
class _Linked:
    """A file with several names, as far as they were seen."""

    path: bytes
    size: int
    names: int
    seen: int = 0
    last: tuple[int, Cut] | None = None
    shows: bool = False


def measure_waste(layers: Sequence[Directory], path: bytes = b"") -> Waste:
    """Measure what *layers*, the lowest first, ship without showing it; of *path* and what is beneath it alone.

    Files without content aren't listed. Where *path* isn't the root, a file that has names elsewhere too isn't counted,
    since it may show there.

    Raises:
        OSError: a layer can't be read.
    """
    measuring = _Measuring()
    if path:
        above, name = column_above(layers, path), path.rpartition(b"/")[2]
        parts = above.parts(name)
        measuring.visit(above, name, parts)
        measuring.descend(above.child(name, parts))
    else:
        measuring.descend(root_column(layers))
    return measuring.result(whole=not path)


class _Measuring:
    def __init__(self) -> None:
        self._shipped = 0
        self._hidden: list[Hidden] = []
        self._linked: dict[tuple[int, int], _Linked] = {}

    def descend(self, top: Column) -> None:
        pending = [top]
        while pending:
            column = pending.pop()
            beneath = []
            for name, parts in sorted(column.names().items()):
                self.visit(column, name, parts)
                if any(part.entry.kind is Kind.DIR for part in parts):
                    beneath.append((name, parts))
            pending += [column.child(name, parts) for name, parts in reversed(beneath)]

    def visit(self, column: Column, name: bytes, parts: Sequence[Part]) -> None:
        for layer, entry in parts:
            if entry.kind is Kind.FILE:
                self._count(column, name, layer, entry, parts)

    def _count(self, column: Column, name: bytes, layer: int, entry: Entry, parts: Sequence[Part]) -> None:
        status = entry.directory.status(name)
        if not status.st_size:
            return
        loss = column.loss(name, layer, parts)
        if status.st_nlink > 1:
            self._note_name(column.path_of(name), layer, status, loss)
            return
        self._shipped += status.st_size
        if loss is not None:
            self._hidden.append(_hidden(column.path_of(name), status.st_size, layer, loss))

    def _note_name(self, path: bytes, layer: int, status: os.stat_result, loss: tuple[int, Cut] | None) -> None:
        linked = self._linked.setdefault((layer, status.st_ino), _Linked(path, status.st_size, status.st_nlink))
        linked.seen += 1
        if loss is None:
            linked.shows = True
        elif linked.last is None or loss[0] > linked.last[0]:
            # It shows until the last of its names is hidden.
            linked.last = loss

    def _links(self, *, whole: bool) -> Iterator[Hidden]:
        for (layer, _), linked in self._linked.items():
            if linked.last is not None and not linked.shows and (whole or linked.seen == linked.names):
                yield _hidden(linked.path, linked.size, layer, linked.last)._replace(links=linked.seen)

    def result(self, *, whole: bool) -> Waste:
        shipped = self._shipped + sum(linked.size for linked in self._linked.values())
        hidden = sorted(
            (*self._hidden, *self._links(whole=whole)), key=lambda file: (-file.size, file.path, file.layer)
        )
        return Waste(shipped, tuple(hidden))


def _hidden(path: bytes, size: int, layer: int, loss: tuple[int, Cut]) -> Hidden:
    by, cut = loss
    return Hidden(path, size, layer, by, cut.loss, cut.path)
