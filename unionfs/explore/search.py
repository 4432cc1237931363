"""Finding names in the tree that a look at a layer shows."""

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from unionfs.explore.changes import Item, Look, items
from unionfs.layer.directory import Directory
from unionfs.provenance.columns import Column, root_column


class Found(NamedTuple):
    """An item, and the directory that it is in."""

    column: Column
    item: Item

    @property
    def path(self) -> bytes:
        """The path of the item."""
        return self.column.path_of(self.item.name)


def search(layers: Sequence[Directory], layer: int, look: Look, text: str) -> Iterator[Found | None]:
    """Give all whose name holds *text*, in whatever case, each after the directories above it, and each once.

    A text with a slash in it is looked for in paths, which begin with one. None is given now and then, so that a search
    which finds nothing can be given up too. Memory goes with the depth of the tree and its widest directories.

    Raises:
        OSError: a layer can't be read.
    """
    wanted = text.casefold()
    pending = [_listed(root_column(layers), layer, look)]
    above: list[Found] = []
    told = 0
    while pending:
        found = next(pending[-1], None)
        if found is None:
            pending.pop()
            above = above[:-1]
            told = min(told, len(above))
            continue
        if _matches(found, wanted):
            yield from above[told:]
            yield found
            told = len(above) + found.item.is_directory
        if found.item.is_directory:
            pending.append(_listed(found.column.child(found.item.name, found.item.parts), layer, look))
            above.append(found)
            yield None


def _listed(column: Column, layer: int, look: Look) -> Iterator[Found]:
    for item in items(column, layer, look):
        yield Found(column, item)


def _matches(found: Found, wanted: str) -> bool:
    text = os.fsdecode(b"/" + found.path if "/" in wanted else found.item.name)
    return wanted in text.casefold()
