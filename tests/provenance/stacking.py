"""Layers on disk, opened each for itself."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.stacks import Layer, write
from unionfs.layer.directory import Directory
from unionfs.provenance import open_stack


@contextmanager
def stacked(directory: Path, *layers: Layer) -> Iterator[Sequence[Directory]]:
    """Write *layers*, the lowest first, beneath *directory*, and open them."""
    paths = [directory / f"layer{number}" for number in range(len(layers))]
    for path, layer in zip(paths, layers, strict=True):
        write(path, layer)
    with open_stack(paths) as opened:
        yield opened
