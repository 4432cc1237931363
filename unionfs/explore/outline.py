"""The tree as lines: what is open, what a line stands for, and how large that is.

Owns nothing but what was opened: a directory is read when it is opened, and closing it forgets what was read.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from unionfs.explore.changes import Change, Item, Look, items
from unionfs.explore.search import Found
from unionfs.explore.totals import Totals
from unionfs.layer.directory import Directory
from unionfs.layer.entry import Kind
from unionfs.provenance.columns import Column, root_column


@dataclass(slots=True)
class Row:
    """A line: an item, the directory that it is in, how many directories of the tree are above it."""

    column: Column
    item: Item
    depth: int
    is_open: bool = False

    @property
    def path(self) -> bytes:
        """The path of what the line stands for."""
        return self.column.path_of(self.item.name)


class Outline:
    """The lines of a look at a layer of the image that *layers*, the lowest first, are; at first at the topmost one."""

    def __init__(self, layers: Sequence[Directory], totals: Totals) -> None:
        self._layers = layers
        self._totals = totals
        self._opened: set[bytes] = set()
        self.layer = max(0, len(layers) - 1)
        self.look = Look.STATE
        self.by_size = False
        self.rows: list[Row] = []

    # What is shown.

    def show(self, *, layer: int | None = None, look: Look | None = None, by_size: bool | None = None) -> None:
        """Show another layer, or otherwise; what was open stays open, and a search is over.

        Raises:
            OSError: a layer can't be read.
        """
        self.layer = self.layer if layer is None else layer
        self.look = look or self.look
        self.by_size = self.by_size if by_size is None else by_size
        self.rows = list(self._beneath(root_column(self._layers), 0)) if self._layers else []

    def show_found(self, found: Iterable[Found]) -> None:
        """Show what a search has found, and what is above that, instead of all."""
        self.rows = []
        for each in found:
            depth = each.path.count(b"/")
            if depth:
                # What is above comes before, and is shown open.
                above = next(row for row in reversed(self.rows) if row.depth < depth)
                above.is_open = True
            self.rows.append(Row(each.column, each.item, depth))

    def _beneath(self, column: Column, depth: int) -> Iterator[Row]:
        rows = [Row(column, item, depth) for item in items(column, self.layer, self.look)]
        if self.by_size:
            rows.sort(key=lambda row: -(self.size(row) or 0))
        for row in rows:
            yield row
            if row.path in self._opened and self.can_open(row):
                row.is_open = True
                yield from self._beneath(_child(row), depth + 1)

    # Opening and closing.

    def can_open(self, row: Row) -> bool:
        """Tell whether there may be lines beneath *row*: of a whiteout there are none in the layer itself."""
        return row.item.is_directory and not (self.look is Look.LAYER and row.item.change is Change.REMOVED)

    def open(self, index: int) -> None:
        """Open the directory of a line; nothing happens where that is none, or is open.

        Raises:
            OSError: a layer can't be read.
        """
        row = self.rows[index]
        if row.is_open or not self.can_open(row):
            return
        beneath = list(self._beneath(_child(row), row.depth + 1))
        row.is_open = True
        self._opened.add(row.path)
        self.rows[index + 1 : index + 1] = beneath

    def close(self, index: int) -> None:
        """Close the directory of a line, if it is open."""
        row = self.rows[index]
        if row.is_open:
            row.is_open = False
            self._opened.discard(row.path)
            del self.rows[index + 1 : self._end(index)]

    def _end(self, index: int) -> int:
        """Give the index of the first line behind what is beneath that of *index*."""
        depth = self.rows[index].depth
        behind = range(index + 1, len(self.rows))
        return next((number for number in behind if self.rows[number].depth <= depth), len(self.rows))

    # Finding lines.

    def above(self, index: int) -> int:
        """Give the index of the line of the directory above; of a line without one, its own."""
        depth = self.rows[index].depth
        return next((number for number in range(index, -1, -1) if self.rows[number].depth < depth), index)

    def index_of(self, path: bytes) -> int:
        """Give the index of the line of *path*, or of what is above it, as far as that is shown; otherwise 0."""
        known = {row.path: number for number, row in enumerate(self.rows)}
        while path and path not in known:
            path = path.rpartition(b"/")[0]
        return known.get(path, 0)

    # Sizes.

    def size(self, row: Row) -> int | None:
        """Give the bytes of a file, or of the files beneath a directory, as the look has them.

        Of what the layer takes away: what was there until then. In changes, and in the layer alone, a directory has the
        bytes that the layer brings. None: what has no size, or isn't measured yet.

        Raises:
            OSError: the file can't be examined.
        """
        entry = row.item.entry
        if entry is None or entry.kind not in (Kind.FILE, Kind.DIR):
            return None
        if entry.kind is Kind.FILE:
            return entry.directory.status(row.item.name).st_size
        total = self._totals.get(row.path)
        if total is None:
            return None
        if row.item.change is Change.REMOVED:
            return total.shown(self.layer - 1)
        return total.shown(self.layer) if self.look is Look.STATE else total.gained(self.layer)

    def unmeasured(self, rows: Iterable[Row]) -> bytes | None:
        """Give the path of a directory among *rows* whose size isn't known; None where all are."""
        directories = (row.path for row in rows if row.item.is_directory)
        return next((path for path in directories if self._totals.get(path) is None), None)


def _child(row: Row) -> Column:
    return row.column.child(row.item.name, row.item.parts)
