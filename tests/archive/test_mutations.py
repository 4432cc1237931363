"""Archives with random damage: each is read rightly or refused with one line, and never anything else."""

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.archive.build import OciImage, docker_image, layer, layout, tar
from tests.archive.reading import contents
from unionfs.archive import ArchiveError, open_archive

LAYERS = [layer("one"), layer("two")]
IMAGE = OciImage(LAYERS)
DOCKER = tar(docker_image("c", LAYERS, ["foo:1"]))
OCI = tar(layout([IMAGE.entry("foo:1")], IMAGE.blobs))
Mutation = Callable[[random.Random, bytearray], None]


def replace_bytes(source: random.Random, content: bytearray) -> None:
    for _ in range(source.choice((1, 2, 8))):
        content[source.randrange(len(content))] = source.randrange(256)


def flip_bits_of_text(source: random.Random, content: bytearray) -> None:
    """Change letters and digits, which are where the documents are."""
    places = [number for number, byte in enumerate(content) if chr(byte).isalnum()]
    for place in source.sample(places, 3):
        content[place] ^= 1 << source.randrange(7)


def cut(source: random.Random, content: bytearray) -> None:
    del content[source.randrange(len(content)) :]


def take_out(source: random.Random, content: bytearray) -> None:
    start = source.randrange(len(content))
    del content[start : start + source.choice((1, 10, 512, 1024))]


def repeat(source: random.Random, content: bytearray) -> None:
    start = source.randrange(len(content))
    size = source.choice((1, 10, 512, 1024))
    content[start:start] = content[start : start + size]


@pytest.mark.parametrize("mutate", [replace_bytes, flip_bits_of_text, cut, take_out, repeat])
@pytest.mark.parametrize("archive", [DOCKER, OCI, gzip.compress(OCI, mtime=0)], ids=["docker", "oci", "gzip"])
def test_damage_is_found_or_does_no_harm(tmp_path: Path, archive: bytes, mutate: Mutation) -> None:
    source = random.Random(0)
    path = tmp_path / "archive"
    refused: list[str] = []
    for _ in range(150):
        content = bytearray(archive)
        mutate(source, content)
        path.write_bytes(content)
        try:
            with open_archive(path) as opened:
                assert contents(opened.image()) == LAYERS
        except ArchiveError as error:
            refused.append(str(error))
    assert len(refused) > 10
    assert all(map(str.isprintable, refused))
