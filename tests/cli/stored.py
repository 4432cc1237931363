"""Stores with images in them, and commands run on them, as the tests of those commands need them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.archive import build
from tests.image import documents
from tests.image.documents import Fields, sha256
from unionfs.archive import open_archive
from unionfs.cli import main
from unionfs.image import Reference
from unionfs.store.store import Store

Captured = pytest.CaptureFixture[str]


def source(path: Path, layers: Sequence[bytes], **config: object) -> Path:
    """Write an OCI layout of one image without a name; *config* are fields of its config."""
    image = build.OciImage(list(layers), documents.config([sha256(layer) for layer in layers], **config))
    return build.tree(build.layout([image.entry()], image.blobs), path)


def fill(root: Path, layers: Sequence[bytes], *names: str, **config: object) -> str:
    """Put an image into the store at *root*, and give its id."""
    number = sum(1 for _ in root.parent.glob("source-*"))
    with open_archive(source(root.with_name(f"source-{number}"), layers, **config)) as opened, Store(root) as store:
        image = opened.image()
        store.load(image, [Reference.parse(name) for name in names])
        return str(image.config_digest)


def run(captured: Captured, *words: str) -> tuple[int, str, str]:
    """Run a command and give its exit code, output and errors."""
    code = main(words)
    return (code, *captured.readouterr())


def printed(captured: Captured, *words: str) -> list[str]:
    """Run a command that must do well, and give the lines that it prints."""
    code, output, errors = run(captured, *words)
    assert (code, errors) == (0, "")
    return output.splitlines()


def as_json(captured: Captured, *words: str) -> Any:
    """Run a command that must do well and prints JSON, and give what it says."""
    return json.loads("\n".join(printed(captured, *words)))


__all__ = ["Captured", "Fields", "as_json", "fill", "printed", "run", "source"]
