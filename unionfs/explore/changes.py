"""What a layer makes of the names in a directory.

Owns the three ways of looking at a layer, and what is called added, changed and removed in them. Layers are numbered
from 0, the lowest; the state of a layer is what it and those below it show together.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from unionfs.layer.entry import Entry, Kind
from unionfs.provenance.columns import Column, Part


class Change(Enum):
    """What a layer does to a name, by the mark that stands for it."""

    SAME = " "
    ADDED = "+"
    CHANGED = "~"
    REMOVED = "-"


class Look(Enum):
    """A way of looking at a layer.

    ``STATE``: what it and those below show together, and what it takes away. ``CHANGES``: of that, what it changes.
    ``LAYER``: what it holds itself, its whiteouts being what it takes away.
    """

    STATE = "state"
    CHANGES = "changes"
    LAYER = "layer alone"

    @property
    def next(self) -> "Look":
        """The way that comes after this one."""
        looks = list(Look)
        return looks[(looks.index(self) + 1) % len(looks)]


class Item(NamedTuple):
    """A name of a directory as a look at a layer shows it.

    ``part`` is what is there, or was until the layer took it away; None where there was nothing to take away. ``parts``
    are what all layers hold there.
    """

    name: bytes
    change: Change
    part: Part | None
    parts: Sequence[Part]

    @property
    def entry(self) -> Entry | None:
        """What is there, or was."""
        return None if self.part is None else self.part.entry

    @property
    def is_directory(self) -> bool:
        """Whether it is, or was, a directory."""
        return self.part is not None and self.part.entry.kind is Kind.DIR


def items(column: Column, layer: int, look: Look) -> list[Item]:
    """Give what the directory of *column* shows of *layer*, sorted by name.

    Raises:
        OSError: a layer can't be read.
    """
    found = (item(column, name, parts, layer) for name, parts in sorted(column.names().items()))
    return [each for each in found if is_seen(each, layer, look)]


def item(column: Column, name: bytes, parts: Sequence[Part], layer: int) -> Item:
    """Tell what *layer* does to *name*, at which the layers hold *parts*."""
    before, after = _shown(column, parts, layer - 1), _shown(column, parts, layer)
    return Item(name, _change(before, after), after or before, parts)


def is_seen(shown: Item, layer: int, look: Look) -> bool:
    """Tell whether *shown*, which *layer* makes what it is, is seen in *look*."""
    if look is Look.LAYER:
        return any(part.layer == layer for part in shown.parts)
    if look is Look.CHANGES:
        return shown.change is not Change.SAME
    return shown.part is not None


def story(column: Column, parts: Sequence[Part], layers: int) -> Iterator[tuple[int, Change]]:
    """Give what each of so many *layers* does to a name at which they hold *parts*, where it does something."""
    for layer in range(layers):
        change = _change(_shown(column, parts, layer - 1), _shown(column, parts, layer))
        if change is not Change.SAME:
            yield layer, change


def _shown(column: Column, parts: Sequence[Part], layer: int) -> Part | None:
    """Give the part that shows in the state of *layer*; None where none does."""
    lowest = max((cut for cut in column.cuts if cut <= layer), default=0)
    topmost = next((part for part in reversed(parts) if lowest <= part.layer <= layer), None)
    return None if topmost is None or topmost.entry.kind is Kind.WHITEOUT else topmost


def _change(before: Part | None, after: Part | None) -> Change:
    if before == after:
        return Change.SAME
    if before is None:
        return Change.ADDED
    return Change.REMOVED if after is None else Change.CHANGED
