"""Reading what the code under test opened."""

from collections.abc import Callable
from typing import Protocol

import pytest

from tests.archive.build import Files
from unionfs.archive import Archive, ArchiveError, Image, Limits, VerifyingReader, decompress
from unionfs.image import Platform


class Opener(Protocol):
    """Opens the bytes of an archive and closes it after the test."""

    def __call__(self, content: bytes, limits: Limits | None = None) -> Archive: ...


Opening = Callable[[Files], Archive]
"""Opens the files of a layout, in an archive or a directory, and closes it after the test."""


def contents(image: Image) -> list[bytes]:
    """Return each layer's uncompressed bytes, checked as a store checks them."""
    found = []
    for layer in image.layers:
        with layer.open() as stored:
            blob = layer.descriptor
            checked = stored if blob is None else VerifyingReader(stored, blob.digest, blob.size, "blob")
            found.append(VerifyingReader(decompress(checked), layer.diff_id, None, "layer").read())
    return found


def refusal(archive: Archive, selector: str | None = None, platform: Platform | None = None) -> str:
    """Return the one printable line with which an image is refused."""
    with pytest.raises(ArchiveError) as error:
        archive.image(selector, platform)
    assert str(error.value).isprintable()
    assert str(error.value).startswith(f'"{archive.name}": ')
    return str(error.value)
