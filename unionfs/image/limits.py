"""How large documents may be, so that a forged one costs no more memory and time than a real one."""

from dataclasses import dataclass

from unionfs.image.error import ImageError


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds on image documents; an error about one carries the field's name as its ``limit``."""

    manifest: int = 4 << 20
    """Bytes of a manifest or an index; registries take no greater ones."""

    config: int = 4 << 20
    """Bytes of an image config."""

    archive_manifest: int = 1 << 20
    """Bytes of a docker archive's manifest.json."""

    index_depth: int = 16
    """Levels of indexes within indexes; one or two are usual."""

    indexes: int = 1000
    """Nested indexes looked at for one choice of an image."""

    layers: int = 1000
    """Layers of an image; the kernel's overlayfs mounts 500."""

    def check_size(self, what: str, size: int, limit: str) -> None:
        """Raise ImageError if a document called ``what`` has more bytes than the field ``limit`` allows."""
        greatest: int = getattr(self, limit)
        if size > greatest:
            raise ImageError(
                f"{what} exceeded maximum allowed size: {size} bytes, the limit is {greatest} ({limit})",
                limit,
            )


DEFAULTS = Limits()
