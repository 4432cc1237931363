"""Indexes: OCI's image index and docker's manifest list, and the choice of one image from them.

It reads no file: whoever asks ``resolve`` for an image passes the function that reads a document by its
descriptor.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from unionfs.image import media_type as types
from unionfs.image.descriptor import Descriptor
from unionfs.image.error import ImageError, shown
from unionfs.image.limits import DEFAULTS, Limits
from unionfs.image.manifest import check_kind
from unionfs.image.platform import Platform
from unionfs.image.strict_json import Fields, parse


@dataclass(frozen=True, slots=True)
class Index:
    """A list of images, other indexes and whatever else has a descriptor."""

    media_type: str
    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str]

    @classmethod
    def read(cls, data: bytes, media_type: str | None = None, limits: Limits = DEFAULTS) -> Self:
        """Return the index in ``data``, which came under ``media_type``, a descriptor's or a Content-Type.

        Entries of unknown media types are kept, as the image-spec asks. Raises ImageError if it is no index,
        disagrees with ``media_type`` or could also be read as a manifest.
        """
        what = "image index"
        limits.check_size(what, len(data), "manifest")
        fields = Fields(parse(data, what), what)
        stated = check_kind(fields, media_type)
        if stated and stated not in types.INDEXES:
            raise ImageError(f"{what} has the media type {shown(stated)}, which is not that of an index")
        if fields.has("layers") or fields.has("config"):
            raise ImageError(f"{what} is the manifest of one image, not an index")
        return cls(
            media_type=stated or types.OCI_INDEX,
            manifests=tuple(Descriptor.read(entry) for entry in fields.list_of_fields("manifests")),
            annotations=fields.text_map("annotations"),
        )


def is_image(entry: Descriptor) -> bool:
    """Return whether an index entry is an image or leads to some; attestations and unknown types don't."""
    if entry.media_type not in types.MANIFESTS | types.INDEXES:
        return False
    return entry.platform is None or entry.platform.known


def resolve(
    root: Descriptor, read: Callable[[Descriptor], bytes], platform: Platform, limits: Limits = DEFAULTS
) -> Descriptor:
    """Return the descriptor of the manifest that ``root`` leads to on ``platform``.

    ``root`` is a manifest, which is taken whatever it is for, or an index, possibly with further ones in
    it; ``read`` gives an index's bytes, checked against its descriptor. Raises ImageError if nothing suits,
    or beyond the limits on nesting; what ``read`` raises passes through.
    """
    if root.media_type in types.MANIFESTS:
        return root
    if root.media_type in types.SCHEMA1:
        raise ImageError("docker manifest schema 1 is not supported")
    if root.media_type not in types.INDEXES:
        raise ImageError(f"{shown(root.media_type)} is not the media type of an image")
    images = list(_Walk(read, platform, limits).images(root, None, 1))
    chosen = platform.choose((of, image) for of, image in images if of is not None)
    unstated = {image.digest: image for of, image in images if of is None}
    if len(unstated) == 1 and all(of is None for of, _ in images):
        # The only image there is, with no platform stated, is taken just as a manifest without an index is.
        return next(iter(unstated.values()))
    if chosen is None:
        raise ImageError(
            f"no image found in image index for architecture {shown(platform.architecture)}, "
            f"variant {shown(platform.variant)}, OS {shown(platform.os)}"
        )
    return chosen


class _Walk:
    """One walk through nested indexes, each of them read once."""

    def __init__(self, read: Callable[[Descriptor], bytes], platform: Platform, limits: Limits) -> None:
        self._read = read
        self._platform = platform
        self._limits = limits
        self._seen: set[str] = set()

    def images(
        self, root: Descriptor, inherited: Platform | None, depth: int
    ) -> Iterator[tuple[Platform | None, Descriptor]]:
        """Yield the manifests below ``root`` in order, each with its own or else its index's platform."""
        if str(root.digest) in self._seen:
            return
        self._seen.add(str(root.digest))
        if depth > self._limits.index_depth:
            raise ImageError(
                f"indexes are nested deeper than the limit of {self._limits.index_depth} (index_depth)",
                "index_depth",
            )
        if len(self._seen) > self._limits.indexes:
            raise ImageError(
                f"there are more nested indexes than the limit of {self._limits.indexes} (indexes)", "indexes"
            )
        for entry in Index.read(self._read(root), root.media_type, self._limits).manifests:
            if not is_image(entry):
                continue
            platform = entry.platform or inherited
            if entry.media_type in types.MANIFESTS:
                yield platform, entry
            elif platform is None or self._platform.matches(platform):
                yield from self.images(entry, platform, depth + 1)
