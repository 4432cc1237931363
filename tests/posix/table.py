"""What a row of the table declares: its layers, where it runs, and the outcomes where file systems differ."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import pytest

from tests.stacks import EMPTY, Layer

ANYWHERE: Final = ("plain", "union")
UNIONS: Final = ("union",)
"""For rows about layers, which a plain directory doesn't have."""
OURS: Final = ("ours",)
"""For rows about what only this project offers; each says why the others can't check it."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """The declaration of one behaviour."""

    bottom: Layer = field(default_factory=dict)
    middle: Layer = field(default_factory=dict)
    top: Layer = field(default_factory=dict)
    upper: Layer = field(default_factory=dict)
    """What an earlier session left in the upper directory."""
    read_only: bool = False
    own: bool = False
    """The row has a mount for itself, its layers lying at the root of it: it may unmount and remount."""
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    upper_size: str = ""
    """The upper directory, or the plain one, is a tmpfs of this size, as in mount(8)."""
    empty_lowers: int = 0
    """So many empty lowers lie between each two of the three, for a row with its own mount."""
    on: tuple[str, ...] = ANYWHERE
    kernel: tuple[int, int] = (5, 11)
    """The first kernel whose overlayfs behaves so."""
    expected: Mapping[str, object] = field(default_factory=dict)
    """The outcome by file system or family, the narrowest name winning; ``default`` is for the others."""
    because: str = ""
    """Why the outcomes differ."""

    def __post_init__(self) -> None:
        if len(self.expected) > 1 and not self.because:
            raise ValueError("outcomes that differ need a reason")
        if (self.options or self.environment or self.upper_size or self.empty_lowers) and not self.own:
            raise ValueError("only a row with its own mount says how it is mounted")

    def lowers(self) -> list[Layer]:
        """Return the lower layers, topmost first."""
        between: list[Layer] = [EMPTY] * self.empty_lowers
        return [self.top, *between, self.middle, *between, self.bottom]


def row(
    *,
    bottom: Layer = EMPTY,
    middle: Layer = EMPTY,
    top: Layer = EMPTY,
    upper: Layer = EMPTY,
    read_only: bool = False,
    own: bool = False,
    options: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    upper_size: str = "",
    empty_lowers: int = 0,
    on: tuple[str, ...] = ANYWHERE,
    kernel: tuple[int, int] = (5, 11),
    expected: Mapping[str, object] | None = None,
    because: str = "",
) -> pytest.MarkDecorator:
    """Declare a row; the arguments are those of ``Row``."""
    return pytest.mark.row(
        Row(
            bottom=bottom, middle=middle, top=top, upper=upper, read_only=read_only, own=own, options=options,
            environment=environment or {}, upper_size=upper_size, empty_lowers=empty_lowers, on=on, kernel=kernel,
            expected=expected or {}, because=because,
        )
    )  # fmt: skip


def errno_of(call: Callable[..., object], /, *arguments: object, **keywords: object) -> int:
    """Return the errno with which the call fails, 0 where it succeeds."""
    try:
        call(*arguments, **keywords)
    except OSError as error:
        if error.errno is None:
            raise
        return error.errno
    return 0
