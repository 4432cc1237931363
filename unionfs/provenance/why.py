"""What each layer does to one path, from the lowest layer up."""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from unionfs.layer.attributes import Attributes
from unionfs.layer.directory import SELF, Directory
from unionfs.layer.entry import Kind
from unionfs.provenance.columns import Cut, Loss, column_above
from unionfs.provenance.comparing import Held, differences, examined
from unionfs.provenance.waste import measure_waste


class Action(Enum):
    """What a layer does to a path; ``RESTORES``: a layer below had hidden it."""

    ADDS = "adds"
    CHANGES = "changes"
    DELETES = "deletes"
    HIDES = "hides"
    RESTORES = "restores"


class Step(NamedTuple):
    """What one layer does to the path.

    ``what`` a change is of: ``type``, ``content``, ``target``, ``device``, ``mode``, ``owner``, ``time``, ``xattrs``;
    none where the same is shipped once more. ``by`` is the path that does it: the path itself, or a directory above it.
    ``shown`` is what is at the path from there on. ``hidden`` is the size in bytes of the files, at the path or beneath
    it, that no longer show.
    """

    layer: int
    action: Action
    what: tuple[str, ...]
    by: bytes
    shown: Attributes | None
    hidden: int


def trace(layers: Sequence[Directory], path: bytes) -> tuple[Step, ...]:
    """Give what *layers*, the lowest first, do to *path*, in which no link is followed; nothing where none has it.

    A layer that has a directory at the path only because of what is in it does nothing to it.

    Raises:
        OSError: a layer can't be read.
    """
    hidden: dict[int, int] = {}
    for file in measure_waste(layers, path).files:
        hidden[file.hidden_by] = hidden.get(file.hidden_by, 0) + file.size
    return tuple(_Tracing(path, hidden).steps(layers))


class _Tracing:
    def __init__(self, path: bytes, hidden: dict[int, int]) -> None:
        self._path = path
        self._hidden = hidden
        self._shown: Held | None = None
        self._has_shown = False

    def steps(self, layers: Sequence[Directory]) -> Iterator[Step]:
        for layer, (held, cut) in enumerate(_holdings(layers, self._path)):
            if held is not None:
                yield from self._put(layer, held, is_new=held.is_opaque or cut is not None)
            elif cut is not None and self._shown is not None:
                self._shown = None
                action = Action.DELETES if cut.loss is Loss.DELETED else Action.HIDES
                yield self._step(layer, action, by=cut.path)

    def _put(self, layer: int, held: Held, *, is_new: bool) -> Iterator[Step]:
        before, self._shown = self._shown, held
        if before is None:
            action = Action.RESTORES if self._has_shown else Action.ADDS
            self._has_shown = True
            yield self._step(layer, action, held)
            return
        what = differences(before, held)
        if what or is_new or not held.attributes.is_directory:
            yield self._step(layer, Action.CHANGES, held, what)

    def _step(
        self, layer: int, action: Action, held: Held | None = None, what: tuple[str, ...] = (), by: bytes | None = None
    ) -> Step:
        shown = None if held is None else held.attributes
        return Step(layer, action, what, self._path if by is None else by, shown, self._hidden.get(layer, 0))


def _holdings(layers: Sequence[Directory], path: bytes) -> Iterator[tuple[Held | None, Cut | None]]:
    """Give for each layer what it holds at *path*, and what it does there to the layers below it."""
    if not path:
        for layer in layers:
            yield examined(layer, SELF), None
        return
    above, name = column_above(layers, path), path.rpartition(b"/")[2]
    parts = {part.layer: part.entry for part in above.parts(name)}
    for number in range(len(layers)):
        entry, cut = parts.get(number), above.cuts.get(number)
        if entry is None or entry.kind is Kind.WHITEOUT:
            yield None, cut or (None if entry is None else Cut(Loss.DELETED, path))
        else:
            yield examined(entry.directory, name), cut
