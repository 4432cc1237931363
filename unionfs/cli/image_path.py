"""``IMAGE:PATH``: how commands are given something in an image, and how they say that it isn't there.

Owns where the image ends and the path begins.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Self

from unionfs.archive.source import TRANSPORTS
from unionfs.cli.arguments import UsageError
from unionfs.cli.images import opened_image, opened_store
from unionfs.cli.report import escape
from unionfs.copyout import TargetError
from unionfs.store.store import StackedImage
from unionfs.view import View, open_view

HELP = """\
IMAGE is a name or an id in the store, or docker-archive:FILE[:REF], oci-archive:FILE[:REF] or oci:DIR[:REF]. PATH is
absolute: it begins at the first ':/' behind that, as in localhost:5000/app:1.2:/etc/passwd. Symbolic links in it lead
to where they lead in the image, never out of it.
"""


class ImagePath(NamedTuple):
    """An image, as a user names it, and a path in it, None where none is named."""

    image: str
    path: bytes | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split *text* at the first ``:/``, which no reference holds, and no path of an archive behind its transport.

        Raises:
            UsageError: no image is named.
        """
        transport = next((name for name in TRANSPORTS if text.startswith(name)), "")
        image, separator, path = text[len(transport) :].partition(":/")
        if not image:
            raise UsageError(f"{escape(text) or 'an empty argument'} names no image")
        return cls(transport + image, os.fsencode("/" + path) if separator else None)

    @classmethod
    def parse_whole(cls, text: str) -> tuple[str, bytes]:
        """Give image and path of *text*, in which both must be named.

        Raises:
            UsageError: one isn't.
        """
        found = cls.parse(text)
        if found.path is None:
            raise UsageError(f"{escape(text)} names no path: write IMAGE:/PATH")
        return found.image, found.path


@contextmanager
def opened_view(argument: str) -> Iterator[tuple[View, StackedImage]]:
    """Open what the image *argument* shows.

    Raises:
        StoreError, ImageError, ArchiveError, OSError: there is no such image, or it can't be read.
    """
    with (
        opened_store() as store,
        opened_image(store, argument) as image,
        open_view(image.lowers) as view,
        naming_image(argument),
    ):
        yield view, image


@contextmanager
def naming_image(image: str) -> Iterator[None]:
    """Let an error about a path of an image name that too."""
    try:
        yield
    except TargetError:
        raise
    except OSError as error:
        if isinstance(error.filename, bytes):
            error.filename = f"{image}:{os.fsdecode(error.filename)}"
        raise


def number_of(image: StackedImage, position: int) -> int:
    """Give the number of a layer, from 1, the lowest, whose *position* is that in ``lowers``."""
    return image.layers.index(image.lowers[position]) + 1
