"""The ``manifest.json`` of ``docker save``: which members of an archive make up which image."""

from dataclasses import dataclass
from typing import Self

from unionfs.image.error import ImageError, shown
from unionfs.image.limits import DEFAULTS, Limits
from unionfs.image.reference import Reference
from unionfs.image.strict_json import Fields, parse


@dataclass(frozen=True, slots=True)
class Item:
    """One image of the archive: the members with its config and its layers, lowest first, and its names."""

    config: str
    layers: tuple[str, ...]
    names: tuple[Reference, ...]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Return one item, with its RepoTags in full form; raises ImageError."""
        return cls(
            config=fields.required_text("Config"),
            layers=fields.texts("Layers"),
            names=tuple(dict.fromkeys(_name(tag, fields.where) for tag in fields.texts("RepoTags"))),
        )


def read_items(data: bytes, limits: Limits = DEFAULTS) -> tuple[Item, ...]:
    """Return the images that a manifest.json lists, of which there is at least one; raises ImageError."""
    what = "manifest.json"
    limits.check_size(what, len(data), "archive_manifest")
    items = parse(data, what)
    if not isinstance(items, list):
        raise ImageError(f"{what} must be a JSON list")
    if not items:
        raise ImageError(f"no image in archive: its {what} is an empty list")
    return tuple(Item.read(Fields(item, f"{what} item {number}")) for number, item in enumerate(items))


def _name(tag: str, where: str) -> Reference:
    try:
        name = Reference.parse(tag)
    except ImageError as error:
        raise ImageError(f"{where}: RepoTags: {error}") from None
    if name.digest is not None:
        raise ImageError(f"{where}: RepoTags: {shown(tag)} names a digest, which is no tag")
    return name
