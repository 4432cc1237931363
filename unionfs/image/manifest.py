"""Image manifests: OCI's and docker's schema 2, which say which config and layers make up an image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from unionfs.image import media_type as types
from unionfs.image.descriptor import Descriptor
from unionfs.image.error import ImageError, shown
from unionfs.image.limits import DEFAULTS, Limits
from unionfs.image.strict_json import Fields, parse


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image, or an artifact that merely has the shape of one."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str]
    subject: Descriptor | None
    artifact_type: str

    @classmethod
    def read(cls, data: bytes, media_type: str | None = None, limits: Limits = DEFAULTS) -> Self:
        """Return the manifest in ``data``, which came under ``media_type``, a descriptor's or a Content-Type.

        Raises ImageError if it is no manifest, disagrees with ``media_type`` or could be read as an index
        too.
        """
        what = "manifest"
        limits.check_size(what, len(data), "manifest")
        fields = Fields(parse(data, what), what)
        stated = check_kind(fields, media_type)
        if stated in types.INDEXES or fields.has("manifests"):
            raise ImageError("manifest is an index, not the manifest of one image")
        if stated and stated not in types.MANIFESTS:
            raise ImageError(f"manifest has the unknown media type {shown(stated)}")
        subject = fields.fields("subject")
        return cls(
            media_type=stated or types.OCI_MANIFEST,
            config=Descriptor.read(fields.required_fields("config")),
            layers=tuple(Descriptor.read(layer) for layer in fields.list_of_fields("layers")),
            annotations=fields.text_map("annotations"),
            subject=None if subject is None else Descriptor.read(subject),
            artifact_type=fields.text("artifactType") or "",
        )

    @property
    def is_runnable(self) -> bool:
        """Whether it says that it is an image, and no artifact."""
        return not self.artifact_type and self.config.media_type in types.CONFIGS

    def check_runnable(self) -> None:
        """Raise ImageError unless this is an image whose layers can all be unpacked."""
        kind = self.artifact_type or self.config.media_type
        if not self.is_runnable:
            raise ImageError(f"not a runnable image: it is an artifact of type {shown(kind)}")
        for number, layer in enumerate(self.layers):
            if layer.media_type not in types.LAYERS:
                raise ImageError(f"layer {number} has the unknown media type {shown(layer.media_type)}")


def check_kind(fields: Fields, media_type: str | None) -> str:
    """Return the media type of a manifest or index, or "" if nothing states it.

    Raises ImageError for docker's schema 1, for another schema version than 2, where the document and what
    led to it name different types, and for a document that is a manifest to one reader and an index to
    another (CVE-2021-41190: such a document has two meanings under one digest).
    """
    what = fields.where
    inside = fields.text("mediaType") or ""
    given = (media_type or "").partition(";")[0].strip().lower()
    version = fields.integer("schemaVersion")
    if types.SCHEMA1 & {inside, given} or version == 1 or fields.has("fsLayers"):
        raise ImageError(f"{what}: docker manifest schema 1 is not supported")
    if version != 2:
        raise ImageError(f"{what} must have schemaVersion 2, not {'none' if version is None else version}")
    if inside and given and inside != given:
        raise ImageError(f"{what} says it is {shown(inside)}, but came as {shown(given)}")
    if fields.has("manifests") and (fields.has("layers") or fields.has("config")):
        raise ImageError(f"{what} is ambiguous: it has the fields of a manifest and of an index")
    return inside or given
