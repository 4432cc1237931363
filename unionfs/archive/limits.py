"""How much of an image source is read before it is refused."""

from dataclasses import dataclass, field

from unionfs import image


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds on one source; an error about one carries the field's name as its ``limit``."""

    expanded: int = 64 << 30
    """Bytes that a compressed archive or layer may decompress to."""

    members: int = 1_000_000
    """Members of an archive."""

    documents: image.Limits = field(default_factory=image.Limits)
    """Bounds on the JSON documents."""


DEFAULTS = Limits()
