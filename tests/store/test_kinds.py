"""Images of docker's kind in the store: kept as they are; what is made of one is of OCI's kind.

skopeo finds nothing else in a layout.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archive import build
from tests.image import documents
from tests.image.documents import descriptor, encoded, sha256
from tests.store.images import BOTTOM, TOP, compressed
from tests.tarball import archive, file
from unionfs.archive import open_archive
from unionfs.image import Manifest, Reference
from unionfs.image import media_type as types
from unionfs.image.new_config import Step, derived
from unionfs.store.commit import add_image, writing_layer
from unionfs.store.store import Store
from unionfs.tar.writer import Sink

NAME = Reference.parse("made:1")
LAYER = archive(file(b"new", b"N"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as made:
        yield made


def dockers_layout(path: Path) -> Path:
    """Write a layout whose image is of docker's kind."""
    layers = compressed([BOTTOM, TOP])
    config = encoded(documents.config([sha256(BOTTOM), sha256(TOP)], config={"Healthcheck": {"Test": ["NONE"]}}))
    manifest = encoded(
        {
            "schemaVersion": 2,
            "mediaType": types.DOCKER_MANIFEST,
            "config": descriptor(config, types.DOCKER_CONFIG),
            "layers": [descriptor(layer, types.DOCKER_LAYER_GZIP) for layer in layers],
        }
    )
    return build.tree(build.layout([descriptor(manifest, types.DOCKER_MANIFEST)], [*layers, config, manifest]), path)


def write(sink: Sink) -> None:
    sink.write(LAYER)


def made(store: Store, source: Path) -> Manifest:
    """Load an image, put a layer on it, and return the new one's manifest."""
    with open_archive(source) as opened, store.using():
        loaded = store.load(opened.image(), ())
        parent = store.open(store.by_manifest(loaded.manifest.digest))
        with writing_layer(store, write) as layer:
            config = derived(parent.config, Step("2024-01-02T03:04:05Z"), layer.diff_id)
            add_image(store, config, parent.layers, layer, [NAME])
    return store.find(str(NAME)).manifest


def test_an_image_of_dockers_kind_stays_as_it_is(store: Store, tmp_path: Path) -> None:
    with open_archive(dockers_layout(tmp_path / "image")) as opened:
        digest = opened.image().manifest_digest
        store.load(opened.image(), [NAME])
    found = store.find(str(NAME))
    assert (found.manifest_digest, found.manifest.media_type) == (digest, types.DOCKER_MANIFEST)


def test_what_is_made_of_it_is_of_ocis_kind_and_says_all_that_it_did(store: Store, tmp_path: Path) -> None:
    found = made(store, dockers_layout(tmp_path / "image"))
    assert (found.media_type, found.config.media_type) == (types.OCI_MANIFEST, types.OCI_CONFIG)
    assert [layer.media_type for layer in found.layers] == [types.OCI_LAYER_GZIP] * 3
    assert store.find(str(NAME)).config.execution.healthcheck is not None


def test_skopeo_reads_what_is_made_of_it_from_the_store(store: Store, tmp_path: Path) -> None:
    made(store, dockers_layout(tmp_path / "image"))
    target = f"docker-archive:{tmp_path}/out.tar:made:1"
    subprocess.run(["skopeo", "copy", "--quiet", f"oci:{store.path}:{NAME}", target], check=True)
    with open_archive(tmp_path / "out.tar") as opened:
        assert opened.image().config.diff_ids == store.find(str(NAME)).config.diff_ids
