"""What a layer leaves open until the layers beneath it are known."""

import enum
from dataclasses import dataclass, field


class Implied(enum.Flag):
    """Of a directory that the archive has no entry for, but that a path in it goes through."""

    INHERITS = enum.auto()
    """It shows the owner, mode, times and attributes of the same directory beneath."""
    WANTED = enum.auto()
    """It is there even if nothing is in it: the archive makes it opaque."""


@dataclass(slots=True)
class Unsettled:
    """What was recorded while a layer was unpacked."""

    implied: dict[int, Implied] = field(default_factory=dict)
    """By inode number, so that a path costs nothing."""
    whiteouts: int = 0
    """How many were written; some may hide nothing."""
    links: int = 0
    """How many files stand for hard links to files beneath."""
    has_root: bool = False
    """Whether the archive has an entry for the root."""
    warnings: list[str] = field(default_factory=list)
