"""The image that is explored, and what is said of its layers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from unionfs.image import Config
from unionfs.image.history import steps

_SHORT = 12
"""Hex digits of a digest that are shown."""


class Words(NamedTuple):
    """How sizes in bytes are written, text that a terminal must not obey, and errors."""

    size: Callable[[int], str]
    escape: Callable[[str], str]
    describe: Callable[[OSError], str]


class Made(NamedTuple):
    """A layer: its number, from 1, the first digits of its diff_id, and the step of the history that made it."""

    number: int
    digest: str
    created_by: str


class Subject(NamedTuple):
    """An image: how it was named, the directories of its layers, the lowest first, and its config."""

    name: str
    paths: Sequence[Path]
    config: Config

    def layers(self) -> list[Made]:
        """Describe the layers, the lowest first; a command is one line."""
        makers = {step.layer: step.history.created_by for step in steps(self.config)}
        return [
            Made(number + 1, diff_id.hex[:_SHORT], " ".join(makers[number].split()))
            for number, diff_id in enumerate(self.config.diff_ids)
        ]
