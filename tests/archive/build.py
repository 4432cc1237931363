"""Image sources made of a few bytes: docker archives and OCI layouts, as tar archives or directories."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests import tarball
from tests.image import documents
from tests.image.documents import Fields, encoded, sha256
from unionfs.image import media_type as types

Files = dict[str, bytes]


def layer(text: str) -> bytes:
    """Return a layer with one file."""
    return tarball.archive(tarball.file(b"file", text.encode()))


def docker_image(name: str, layers: list[bytes], tags: list[str] | None, diff_ids: list[str] | None = None) -> Files:
    """Return the files of a classic ``docker save`` of one image; its config and layers stand under ``name``."""
    config = encoded(documents.config(diff_ids if diff_ids is not None else [sha256(content) for content in layers]))
    paths = [f"{name}{number}/layer.tar" for number in range(len(layers))]
    item = {"Config": f"{name}.json", "RepoTags": tags, "Layers": paths}
    return {
        "manifest.json": encoded([item]),
        f"{name}.json": config,
        **dict(zip(paths, layers, strict=True)),
    }


def blob(content: bytes) -> Files:
    """Return one blob under its path in a layout."""
    return {f"blobs/sha256/{sha256(content).removeprefix('sha256:')}": content}


def layout(entries: Iterable[Fields], blobs: Iterable[bytes]) -> Files:
    """Return the files of a layout with these index entries and blobs."""
    files: Files = {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": encoded(documents.index(list(entries))),
    }
    for content in blobs:
        files |= blob(content)
    return files


class OciImage:
    """An image for a layout: its manifest, and all its blobs."""

    def __init__(self, layers: list[bytes], config: Fields | None = None, /, **manifest: object) -> None:
        self.layers = layers
        self.config = encoded(config or documents.config([sha256(content) for content in layers]))
        self.manifest = encoded(documents.manifest(self.config, layers, **manifest))
        self.blobs = [*layers, self.config, self.manifest]

    def entry(self, name: str | None = None, containerd: str | None = None, **more: object) -> Fields:
        """Return its index entry, with annotations that name it."""
        annotations = {"org.opencontainers.image.ref.name": name, "io.containerd.image.name": containerd}
        given = {key: value for key, value in annotations.items() if value is not None}
        return documents.descriptor(self.manifest, types.OCI_MANIFEST, annotations=given, **more)


def tar(files: Mapping[str, bytes], *, prefix: str = "") -> bytes:
    """Return the files as a tar archive in their order."""
    return tarball.archive(*(tarball.file((prefix + path).encode(), content) for path, content in files.items()))


def tree(files: Mapping[str, bytes], top: Path) -> Path:
    """Write the files below a directory."""
    for path, content in files.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(content)
    return top
