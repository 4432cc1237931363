"""What a source gives: the images it lists, and one image with its layers."""

from collections.abc import Callable
from dataclasses import dataclass, field

from unionfs.archive.error import ArchiveError
from unionfs.archive.limits import Limits
from unionfs.archive.stream import Window
from unionfs.image import Config, Descriptor, Digest, escaped


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image that a source lists."""

    index: int
    """Its place in the source's own list, counted from 0: ``@0`` selects it."""
    names: tuple[str, ...]
    """Full names, such as ``docker.io/library/foo:1``, in the source's order."""
    tags: tuple[str, ...] = ()
    """What else selects it without being a full name: the bare tags of an OCI layout."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer as the source has it."""

    diff_id: Digest
    """The digest of the uncompressed tar stream."""
    chain_id: Digest
    descriptor: Descriptor | None
    """Digest and size of the blob as it is stored, where the source tells; they are not checked by ``open``."""
    opener: Callable[[], Window] = field(repr=False, compare=False)

    def open(self) -> Window:
        """Return the blob as it is stored, perhaps compressed: seekable, apart from every other stream.

        Raises ArchiveError if it is no longer there.
        """
        return self.opener()


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a source, with all its layers present. The layers can be opened while the source is open."""

    names: tuple[str, ...]
    config: Config
    config_digest: Digest
    """The image's id. An OCI source may use sha512 for it; otherwise it is the sha256 of the config."""
    manifest_digest: Digest | None
    manifest: bytes | None = field(repr=False)
    """The manifest byte for byte, where the source has one: an OCI layout does, a docker archive doesn't."""
    layers: tuple[Layer, ...]
    source: str = ""
    """What the user calls the source, for errors; empty for the store itself."""


def check_layer_count(config: Config, count: int, limits: Limits) -> None:
    """Raise ArchiveError unless the manifest's ``count`` layers are as many as the config's diff_ids, and allowed."""
    if count > limits.documents.layers:
        raise ArchiveError(
            f"the image's {count} layers are over the limit of {limits.documents.layers} (layers)", "layers"
        )
    if count != len(config.diff_ids):
        raise ArchiveError(f"layers length mismatch: expected {count}, got {len(config.diff_ids)} diff_ids")


def position(selector: str, count: int) -> int | None:
    """Return N of a selector ``@N``, None for another selector; raises ArchiveError unless it is below ``count``."""
    if not selector.startswith("@"):
        return None
    digits = selector[1:]
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 9 or int(digits) >= count:
        raise ArchiveError(f"Invalid source index {escaped(selector)}, only {count} manifest items available")
    return int(digits)
