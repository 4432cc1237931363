"""Descriptors: the image-spec's pointer to content by media type, digest and size."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from unionfs.image.digest import Digest
from unionfs.image.error import ImageError, shown
from unionfs.image.platform import Platform
from unionfs.image.strict_json import Fields

_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_MEDIA_TYPE = re.compile(rf"{_NAME}/{_NAME}")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Where content is found and how it is checked; ``size`` is in bytes."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    artifact_type: str = ""
    urls: tuple[str, ...] = ()
    data: bytes | None = field(default=None, repr=False)

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Return the descriptor in a JSON object.

        Raises ImageError if it breaks the image-spec's rules, among them that embedded ``data`` is the
        content that digest and size tell.
        """
        media_type = fields.required_text("mediaType")
        if not _MEDIA_TYPE.fullmatch(media_type):
            raise ImageError(f"{fields.where}: {shown(media_type)} is no media type")
        size = fields.integer("size")
        if size is None:
            raise ImageError(f"{fields.where} has no size")
        if size < 0:
            raise ImageError(f"{fields.where}: its size is negative: {size}")
        try:
            digest = Digest.parse(fields.required_text("digest"))
        except ImageError as error:
            raise ImageError(f"{fields.where}: {error}") from None
        descriptor = cls(
            media_type=media_type,
            digest=digest,
            size=size,
            annotations=fields.text_map("annotations"),
            platform=_platform(fields),
            artifact_type=fields.text("artifactType") or "",
            urls=fields.texts("urls"),
            data=_embedded(fields),
        )
        if descriptor.data is not None:
            descriptor.check(descriptor.data, f"{fields.where}: the embedded data")
        return descriptor

    def as_json(self) -> dict[str, object]:
        """Return the JSON object that ``read`` reads as this descriptor; what is empty is left out."""
        optional: dict[str, object] = {
            "urls": list(self.urls),
            "annotations": dict(sorted(self.annotations.items())),
            "data": base64.b64encode(self.data or b"").decode(),
            "platform": None if self.platform is None else self.platform.as_json(),
            "artifactType": self.artifact_type,
        }
        stated = {name: value for name, value in optional.items() if value}
        return {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size, **stated}

    def check(self, content: bytes, what: str) -> None:
        """Raise ImageError unless ``content``, called ``what``, has this size and, only then, this digest."""
        if len(content) != self.size:
            raise ImageError(f"{what} has {len(content)} bytes, but its descriptor says {self.size}")
        if not self.digest.matches(content):
            raise ImageError(f"{what} does not match its digest {self.digest}")


def _platform(fields: Fields) -> Platform | None:
    platform = fields.fields("platform")
    if platform is None or not (platform.text("os") or platform.text("architecture")):
        return None
    return Platform.read(platform)


def _embedded(fields: Fields) -> bytes | None:
    text = fields.text("data")
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ImageError(f'{fields.where}: "data" is not base64') from None
