"""Making manifests and indexes."""

import json

import pytest

from tests.image.documents import config, descriptor, encoded, platform
from unionfs.image import Descriptor, ImageError, Index, Manifest
from unionfs.image import media_type as types
from unionfs.image.build import index_bytes, manifest_bytes
from unionfs.image.strict_json import Fields

CONFIG = encoded(config([]))


def described(content: bytes, media_type: str, **more: object) -> Descriptor:
    return Descriptor.read(Fields(descriptor(content, media_type, **more), "descriptor"))


OCI_CONFIG = described(CONFIG, types.OCI_CONFIG)
LAYERS = [described(b"one", types.OCI_LAYER), described(b"two", types.OCI_LAYER_ZSTD)]


def test_a_manifest_reads_back_as_what_it_was_made_of() -> None:
    found = Manifest.read(manifest_bytes(OCI_CONFIG, LAYERS, {"b": "2", "a": "1"}))
    assert (found.config, list(found.layers), found.annotations) == (OCI_CONFIG, LAYERS, {"a": "1", "b": "2"})
    assert found.media_type == types.OCI_MANIFEST


def test_a_manifest_is_the_same_bytes_however_it_is_asked_for() -> None:
    expected = (
        f'{{"schemaVersion":2,"mediaType":"{types.OCI_MANIFEST}",'
        f'"config":{{"mediaType":"{types.OCI_CONFIG}","digest":"{OCI_CONFIG.digest}","size":{len(CONFIG)}}},'
        '"layers":[],"annotations":{"a":"1","b":"ü"}}'
    )
    assert manifest_bytes(OCI_CONFIG, [], {"b": "ü", "a": "1"}).decode() == expected
    assert manifest_bytes(OCI_CONFIG, (), {"a": "1", "b": "ü"}).decode() == expected


def test_a_config_of_docker_gets_a_manifest_of_docker() -> None:
    layer = described(b"one", types.DOCKER_LAYER_GZIP)
    data = manifest_bytes(described(CONFIG, types.DOCKER_CONFIG), [layer])
    found = Manifest.read(data, types.DOCKER_MANIFEST)
    assert found.layers == (layer,)
    assert "annotations" not in json.loads(data)


def test_all_that_a_descriptor_states_stays() -> None:
    full = described(
        b"content",
        types.OCI_MANIFEST,
        annotations={"z": "1", "a": "2"},
        platform={**platform("linux/arm/v6"), "os.version": "1", "os.features": ["f"]},
        artifactType="application/vnd.example",
        urls=["https://example.com/x"],
        data="Y29udGVudA==",
    )
    assert Index.read(index_bytes([full])).manifests == (full,)


def test_an_index_reads_back_as_what_it_was_made_of() -> None:
    entries = (described(b"m", types.OCI_MANIFEST), described(b"n", types.DOCKER_MANIFEST))
    found = Index.read(index_bytes(entries, {"a": "b"}), types.OCI_INDEX)
    assert (found.manifests, found.annotations) == (entries, {"a": "b"})


def test_text_that_is_no_utf8_is_refused_in_one_line() -> None:
    with pytest.raises(ImageError, match=r"^manifest can't hold text that is not UTF-8: ") as error:
        manifest_bytes(OCI_CONFIG, [], {"a": "new\nline \udcff"})
    assert "\n" not in str(error.value)


PAIRS = [
    (types.OCI_LAYER, types.DOCKER_LAYER),
    (types.OCI_LAYER_GZIP, types.DOCKER_LAYER_GZIP),
    (types.OCI_LAYER_ZSTD, types.DOCKER_LAYER + ".zstd"),
]


@pytest.mark.parametrize(("oci", "docker"), PAIRS)
def test_a_layer_of_the_other_kind_becomes_one_of_the_configs(oci: str, docker: str) -> None:
    layers = [described(b"one", oci), described(b"two", docker)]
    for config_media_type, kind in ((types.OCI_CONFIG, oci), (types.DOCKER_CONFIG, docker)):
        found = Manifest.read(manifest_bytes(described(CONFIG, config_media_type), layers))
        assert [layer.media_type for layer in found.layers] == [kind, kind]
        assert [layer.digest for layer in found.layers] == [layer.digest for layer in layers]
        found.check_runnable()
