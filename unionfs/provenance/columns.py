"""One path in all layers at once, and from which layer on what is beneath it no longer shows.

Owns the rules by which a layer hides what the layers below it hold (OCI image-spec, layer.md; overlayfs): a whiteout,
something that isn't a directory, an opaque directory.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import Directory
from unionfs.layer.entry import Entry, Kind
from unionfs.view.opening import open_layers

_DESCRIPTORS = 256
"""Directories that are kept open, beside one for the root of each layer."""


class Loss(Enum):
    """Why something no longer shows.

    It, or a directory above it, was deleted or overwritten by something else; or a directory above it hides what is in
    the layers below.
    """

    DELETED = "deleted"
    OVERWRITTEN = "overwritten"
    HIDDEN = "hidden"


class Cut(NamedTuple):
    """What ends, from its layer on, the showing of what the layers below hold: how, and the path that does it."""

    loss: Loss
    path: bytes


class Part(NamedTuple):
    """What one layer holds at a name; a whiteout too."""

    layer: int
    entry: Entry


class Column(NamedTuple):
    """A path at which layers have directories, the lowest layer first.

    ``cuts``, by layer: nothing beneath the path that a lower layer holds shows from there on.
    """

    path: bytes
    directories: Sequence[tuple[int, Directory]]
    cuts: Mapping[int, Cut]

    def path_of(self, name: bytes) -> bytes:
        """Give the path of *name* in it."""
        return self.path + b"/" + name if self.path else name

    def names(self) -> dict[bytes, list[Part]]:
        """Give what the layers hold at each name, the lowest layer first.

        Raises:
            OSError: a directory can't be read.
        """
        found: dict[bytes, list[Part]] = {}
        for layer, directory in self.directories:
            for name, entry in directory.scan().items():
                found.setdefault(name, []).append(Part(layer, entry))
        return found

    def parts(self, name: bytes) -> list[Part]:
        """Give what the layers hold at *name*, the lowest layer first.

        Raises:
            OSError: an entry can't be examined.
        """
        asked = ((layer, directory.lookup(name)) for layer, directory in self.directories)
        return [Part(layer, entry) for layer, entry in asked if entry is not None]

    def child(self, name: bytes, parts: Sequence[Part]) -> "Column":
        """Give the column of *name*, at which the layers hold *parts*.

        Raises:
            OSError: the marks of a directory can't be read.
        """
        path, directories, cuts = self.path_of(name), [], dict(self.cuts)
        for layer, entry in parts:
            cut = cut_by(entry, path)
            if entry.kind is Kind.DIR:
                directory = entry.directory.child(name)
                directories.append((layer, directory))
                cut = _cut_by_opaque(directory, path)
            if cut is not None:
                cuts.setdefault(layer, cut)
        return Column(path, directories, cuts)

    def loss(self, name: bytes, layer: int, parts: Sequence[Part]) -> tuple[int, Cut] | None:
        """Give the first layer above *layer* from which on the file that *layer* has at *name* doesn't show.

        *parts* are what the layers hold there. None: it shows in the end.
        """
        path = self.path_of(name)
        above = next((part for part in parts if part.layer > layer), None)
        found = [(number, cut) for number, cut in self.cuts.items() if number > layer]
        if above is not None:
            found.append((above.layer, cut_by(above.entry, path) or Cut(Loss.OVERWRITTEN, path)))
        return min(found, key=_layer_of, default=None)


def _layer_of(found: tuple[int, Cut]) -> int:
    return found[0]


def cut_by(entry: Entry, path: bytes) -> Cut | None:
    """Give what *entry* at *path*, which may be a whiteout, does to a directory below; None for a directory."""
    if entry.kind is Kind.WHITEOUT:
        return Cut(Loss.DELETED, path)
    return None if entry.kind is Kind.DIR else Cut(Loss.OVERWRITTEN, path)


def _cut_by_opaque(directory: Directory, path: bytes) -> Cut | None:
    return Cut(Loss.HIDDEN, path) if directory.is_opaque(directory.marks()) else None


def root_column(layers: Sequence[Directory]) -> Column:
    """Give the column of the root; *layers* are the roots of all layers, the lowest first.

    Raises:
        OSError: the marks of one can't be read.
    """
    opaque = ((number, _cut_by_opaque(layer, b"")) for number, layer in enumerate(layers))
    return Column(b"", list(enumerate(layers)), {number: cut for number, cut in opaque if cut is not None})


def column_above(layers: Sequence[Directory], path: bytes) -> Column:
    """Give the column of the directory above *path*; it has no directory where no layer does.

    Raises:
        OSError: what reaching it gives.
    """
    column = root_column(layers)
    *above, _ = path.split(b"/")
    for name in above:
        column = column.child(name, column.parts(name))
    return column


@contextmanager
def open_stack(paths: Sequence[Path]) -> Iterator[Sequence[Directory]]:
    """Open the layer directories *paths*, the lowest first, each for itself, and give their roots.

    Raises:
        OSError: one can't be opened or read; the error names it.
    """
    with ExitStack() as opened, closing(Descriptors(_DESCRIPTORS)) as descriptors:
        yield open_layers(paths, descriptors, opened)
