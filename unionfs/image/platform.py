"""Platforms: the operating system and processor an image is for, and which entry of an index suits one.

Names are Go's GOOS and GOARCH, as the image-spec's index document has it; other names are brought to them.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self, TypeVar

from unionfs.image.error import ImageError, shown
from unionfs.image.strict_json import Fields

_COMPONENT = re.compile(r"[A-Za-z0-9_.-]+")
_ARCHITECTURES = {
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv5l": ("arm", "v5"),
    "armv6l": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv8l": ("arm", "v8"),
    "loongarch64": ("loong64", ""),
}
_BASE_VARIANT = {"amd64": "v1", "arm64": "v8"}
"""The variant that an architecture's name alone stands for."""

_DESCENDING = {
    "arm": ("v8", "v7", "v6", "v5"),
    "arm64": ("v9", "v8"),
    "amd64": ("v4", "v3", "v2", "v1"),
}
"""A processor of one variant also runs what was built for those after it."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system, an architecture and what narrows them down; an empty text is 'not stated'."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the platform written as ``os/arch[/variant]``; raises ImageError."""
        parts = text.split("/")
        if not 2 <= len(parts) <= 3 or not all(_COMPONENT.fullmatch(part) for part in parts):
            raise ImageError(f"invalid platform {shown(text)}: write os/architecture[/variant]")
        return cls(parts[0], parts[1], "".join(parts[2:])).normalised()

    @classmethod
    def host(cls) -> Self:
        """Return this machine's platform."""
        return cls("linux", os.uname().machine).normalised()

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Return an index entry's ``platform`` object, or the same fields of a config, names as they are."""
        return cls(
            os=fields.text("os") or "",
            architecture=fields.text("architecture") or "",
            variant=fields.text("variant") or "",
            os_version=fields.text("os.version") or "",
            os_features=fields.texts("os.features"),
        )

    def as_json(self) -> dict[str, object]:
        """Return the JSON object that ``read`` reads as this platform; what is empty is left out."""
        optional: dict[str, object] = {
            "variant": self.variant,
            "os.version": self.os_version,
            "os.features": list(self.os_features),
        }
        stated = {name: value for name, value in optional.items() if value}
        return {"architecture": self.architecture, "os": self.os, **stated}

    @property
    def known(self) -> bool:
        """False for the ``unknown/unknown`` under which BuildKit lists attestations, which are no images."""
        return bool(self.os and self.architecture) and "unknown" not in (self.os, self.architecture)

    def rank(self, offered: "Platform") -> tuple[int, ...] | None:
        """Return how well ``offered`` suits this platform, less being better, or None if it doesn't."""
        wanted, given = self.normalised(), offered.normalised()
        if (wanted.os, wanted.architecture) != (given.os, given.architecture):
            return None
        variants = _accepted_variants(wanted.architecture, wanted.variant)
        if given.variant not in variants:
            return None
        return (
            variants.index(given.variant),
            int(wanted.os_version != given.os_version),
            int(set(wanted.os_features) != set(given.os_features)),
        )

    def matches(self, offered: "Platform") -> bool:
        """Return whether an image for ``offered`` can be used on this platform."""
        return self.rank(offered) is not None

    def choose(self, offers: Iterable[tuple["Platform", _T]]) -> _T | None:
        """Return what belongs to the best suited platform; of equals the first, as the image-spec has it."""
        best: tuple[tuple[int, ...], _T] | None = None
        for offered, item in offers:
            rank = self.rank(offered)
            if rank is not None and (best is None or rank < best[0]):
                best = rank, item
        return None if best is None else best[1]

    def normalised(self) -> Self:
        """Return the same platform under its usual names, without a variant that the architecture implies."""
        system, machine = self.os.lower(), self.architecture.lower()
        architecture, implied = _ARCHITECTURES.get(machine, (machine, ""))
        variant = self.variant.lower() or implied
        if variant.isdigit():
            variant = "v" + variant
        if variant == _BASE_VARIANT.get(architecture):
            variant = ""
        system = "darwin" if system == "macos" else system
        return type(self)(system, architecture, variant, self.os_version, self.os_features)

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def _accepted_variants(architecture: str, variant: str) -> list[str]:
    """Return the variants that a processor runs, best first; an entry that names none is the last resort."""
    if not variant:
        # Plain "arm" has no one meaning; docker and Debian's armhf take it for v7.
        variant = "v7" if architecture == "arm" else _BASE_VARIANT.get(architecture, "")
    order = _DESCENDING.get(architecture, ())
    runs = order[order.index(variant) :] if variant in order else (variant,)
    return [other for other in runs if other != _BASE_VARIANT.get(architecture) and other] + [""]
