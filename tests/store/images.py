"""Images of a few bytes as OCI layouts on disk, and what became of them."""

import gzip
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.archive import build
from tests.image import documents
from tests.image.documents import sha256
from tests.tarball import archive, file
from unionfs.archive import open_archive
from unionfs.store import Progress, StoreError, Unpacked, unpack_image
from unionfs.tar import Limits

BOTTOM = archive(file(b"etc/a", b"A"), file(b"etc/b", b"B"))
MIDDLE = archive(file(b"etc/.wh.a"), file(b"opt/m", b"M"))
TOP = archive(file(b"etc/t", b"T"))
NAME = "docker.io/library/demo:1"


def layout(top: Path, *layers: bytes, blobs: Sequence[bytes] = (), diff_ids: Sequence[str] = ()) -> Path:
    """Write a layout with one image; ``blobs`` are its layers as stored, ``diff_ids`` what its config says of them."""
    stored = list(blobs or layers)
    config = documents.config(list(diff_ids) or [sha256(layer) for layer in layers])
    image = build.OciImage(stored, config)
    entries = [image.entry(NAME, containerd=NAME)]
    return build.tree(build.layout(entries, image.blobs), top)


def unpack(source: Path, target: Path, limits: Limits | None = None, progress: Progress | None = None) -> Unpacked:
    """Unpack the only image of a layout."""
    with open_archive(source) as opened:
        return unpack_image(opened.image(), target, limits, progress or (lambda *_: None))


def refusal(source: Path, target: Path, limits: Limits | None = None) -> str:
    """Return the text of the error that unpacking ends with; nothing may be left of it."""
    try:
        unpacked = unpack(source, target, limits)
    except StoreError as error:
        assert os.listdir(target) == [".lock"], "something was left of an image that was refused"
        return str(error)
    raise AssertionError(f"unpacked: {unpacked}")


def chain_ids(*layers: bytes) -> list[str]:
    """Return the hex digits of the chain ids of layers, the lowest first, by the image-spec's rule."""
    chain: list[str] = []
    for layer in layers:
        diff_id = sha256(layer)
        text = f"sha256:{chain[-1]} {diff_id}" if chain else ""
        chain.append(hashlib.sha256(text.encode()).hexdigest() if chain else diff_id.removeprefix("sha256:"))
    return chain


def compressed(layers: Sequence[bytes], compress: Callable[[bytes], bytes] = gzip.compress) -> list[bytes]:
    """Return layers as blobs."""
    return [compress(layer) for layer in layers]
