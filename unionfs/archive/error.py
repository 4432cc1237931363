"""The error of image archives, and how a path or a limit gets into its text."""

from collections.abc import Iterator
from contextlib import contextmanager

from unionfs.image import ImageError, shown


class ArchiveError(ImageError):
    """An image source is refused: malformed, incomplete, too large, or without the image asked for."""


class NoTarError(ArchiveError):
    """What was opened as an archive is no tar archive, or not a whole one."""


@contextmanager
def naming(source: str) -> Iterator[None]:
    """Turn any ImageError into an ArchiveError whose text begins with the source's path."""
    try:
        yield
    except ImageError as error:
        raise ArchiveError(f"{shown(source)}: {error}", error.limit) from error
