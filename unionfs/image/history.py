"""An image's history beside its layers: which step made which layer.

The image-spec has one step for each layer, and steps without one between them. Not every writer keeps to that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from unionfs.image.config import Config, History

UNTOLD = History(created="", created_by="", author="", comment="", empty_layer=False)
"""What is known of a layer that no step of the history tells of."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step and the number of the layer that it made, the lowest being 0; None for one that made no layer."""

    history: History
    layer: int | None


def steps(config: Config) -> tuple[Step, ...]:
    """Return the steps of an image's making, the first one first; every layer belongs to one of them."""
    untold, makes = told([not entry.empty_layer for entry in config.history], len(config.diff_ids))
    pairs = [(UNTOLD, True)] * untold + list(zip(config.history, makes, strict=True))
    found: list[Step] = []
    layer = 0
    for entry, makes_one in pairs:
        found.append(Step(entry, layer if makes_one else None))
        layer += makes_one
    return tuple(found)


def told(claims: Sequence[bool], layers: int) -> tuple[int, list[bool]]:
    """Return how many of ``layers`` no step tells of, and which steps made one, given which ``claims`` to have.

    Layers without a step are the lowest, since tools that go on from an image without a history tell the last steps;
    of too many steps the last ones are taken for steps without a layer.
    """
    makes = list(claims)
    steps_with_layers = [number for number, makes_one in enumerate(makes) if makes_one]
    for number in steps_with_layers[layers:]:
        makes[number] = False
    return max(0, layers - len(steps_with_layers)), makes
