"""The image that is unpacked: an OCI layout of five gzip layers, made of the ten layers, and the same as an archive."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.bench.inputs import Inputs
from unionfs.archive import decompress

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class PackedImage:
    """The directory that holds it."""

    root: Path

    @property
    def layout(self) -> Path:
        """The OCI layout, whose image is tagged ``latest``."""
        return self.root / "layout"

    @property
    def archive(self) -> Path:
        """The layout as a tar archive."""
        return self.root / "image.tar"

    @property
    def layers(self) -> list[Path]:
        """The layers' blobs, the lowest first."""
        index = json.loads((self.layout / "index.json").read_bytes())
        manifest = json.loads(self._blob(index["manifests"][0]).read_bytes())
        return [self._blob(layer) for layer in manifest["layers"]]

    def _blob(self, descriptor: Mapping[str, Any]) -> Path:
        digest: str = descriptor["digest"]
        return self.layout / "blobs" / digest.replace(":", "/")


def packed_image(inputs: Inputs) -> PackedImage:
    """Give the image of these inputs, made at the first time.

    Raises:
        CalledProcessError: a program that makes it failed.
        OSError: there is no room for it.
    """
    kept = inputs.root / "image"
    if not kept.exists():
        aside = Path(tempfile.mkdtemp(prefix="unfinished-image-", dir=inputs.root))
        try:
            _make(PackedImage(aside), inputs.image[::-1])
            aside.rename(kept)
        except FileExistsError:
            pass  # by another run meanwhile
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return PackedImage(kept)


def _make(image: PackedImage, layers: Sequence[Path]) -> None:
    blobs = image.layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    pairs = list(zip(layers[::2], layers[1::2], strict=True))
    descriptors = []
    for number, pair in enumerate(pairs):
        blob = image.root / f"layer{number}"
        _pack(pair, image.root / "content", blob)
        descriptors.append(_keep(blob, blobs, _LAYER))
    diff_ids = [_content_digest(blobs / descriptor["digest"].removeprefix("sha256:")) for descriptor in descriptors]
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _document(image.root, blobs, _CONFIG, config),
        "layers": descriptors,
    }
    entry = _document(image.root, blobs, _MANIFEST, manifest)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (image.layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (image.layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    names = ("oci-layout", "index.json", "blobs")
    subprocess.run(["tar", "-C", image.layout, "-cf", image.archive, *names], check=True)


def _pack(pair: tuple[Path, Path], room: Path, blob: Path) -> None:
    """Pack two layers as one, with a large file besides: a tar archive of the second."""
    (room / "srv").mkdir(parents=True)
    for layer in pair:
        subprocess.run(["cp", "-a", f"{layer}/.", room], check=True)
    subprocess.run(["tar", "-C", pair[1], "-cf", room / "srv" / f"{pair[1].name}.tar", "."], check=True)
    script = 'tar -C "$1" --sort=name -c . | gzip -n >"$2"'
    subprocess.run(["bash", "-o", "pipefail", "-c", script, "bash", room, blob], check=True)
    shutil.rmtree(room)


def _document(room: Path, blobs: Path, media_type: str, content: Mapping[str, Any]) -> dict[str, Any]:
    file = room / "document"
    file.write_text(json.dumps(content))
    return _keep(file, blobs, media_type)


def _keep(file: Path, blobs: Path, media_type: str) -> dict[str, Any]:
    """Give *file* its place among the blobs, and describe it."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    descriptor = {"mediaType": media_type, "digest": f"sha256:{digest}", "size": os.path.getsize(file)}
    file.rename(blobs / digest)
    return descriptor


def _content_digest(blob: Path) -> str:
    digest = hashlib.sha256()
    with blob.open("rb") as packed:
        content = decompress(packed)
        while piece := content.read(_CHUNK):
            digest.update(piece)
    return f"sha256:{digest.hexdigest()}"
