"""Manifests: OCI's, docker's schema 2, and what only looks like one."""

import pytest

from tests.image.documents import Fields, config, descriptor, encoded, manifest
from unionfs.image import ImageError, Limits, Manifest
from unionfs.image import media_type as types

CONFIG = encoded(config([]))
LAYERS = [b"one", b"two"]
PLAIN = manifest(CONFIG, LAYERS)
DOCKER = {
    "schemaVersion": 2,
    "mediaType": types.DOCKER_MANIFEST,
    "config": descriptor(CONFIG, types.DOCKER_CONFIG),
    "layers": [descriptor(layer, types.DOCKER_LAYER_GZIP) for layer in LAYERS],
}


def read(fields: Fields, media_type: str | None = None) -> Manifest:
    return Manifest.read(encoded(fields), media_type)


def refusal(fields: Fields, media_type: str | None = None) -> str:
    with pytest.raises(ImageError) as error:
        read(fields, media_type)
    return str(error.value)


@pytest.mark.parametrize("fields", [PLAIN, DOCKER])
def test_config_and_layers_are_read_in_order(fields: Fields) -> None:
    found = read(fields)
    assert str(found.config.digest) == fields["config"]["digest"]
    assert [str(layer.digest) for layer in found.layers] == [layer["digest"] for layer in fields["layers"]]
    assert found.media_type == fields["mediaType"]
    found.check_runnable()


@pytest.mark.parametrize("layers", [[], None])
def test_an_image_may_have_no_layers(layers: object) -> None:
    assert read({**PLAIN, "layers": layers}).layers == ()


def test_subject_annotations_and_unknown_fields_do_not_matter() -> None:
    subject = descriptor(b"other", types.OCI_MANIFEST)
    found = read({**PLAIN, "subject": subject, "annotations": {"a": "b"}, "unknown": [1]})
    assert found.subject is not None
    assert found.annotations == {"a": "b"}
    found.check_runnable()


@pytest.mark.parametrize(
    ("inside", "given", "found"),
    [
        (types.OCI_MANIFEST, None, types.OCI_MANIFEST),
        (None, types.DOCKER_MANIFEST, types.DOCKER_MANIFEST),
        (None, None, types.OCI_MANIFEST),
        (types.OCI_MANIFEST, types.OCI_MANIFEST + "; charset=utf-8", types.OCI_MANIFEST),
        (types.OCI_MANIFEST, types.OCI_MANIFEST.upper(), types.OCI_MANIFEST),
    ],
)
def test_the_media_type_is_the_one_stated(inside: str | None, given: str | None, found: str) -> None:
    assert read({**PLAIN, "mediaType": inside}, given).media_type == found


@pytest.mark.parametrize(
    ("inside", "given"),
    [
        (types.OCI_MANIFEST, types.DOCKER_MANIFEST),
        (types.OCI_MANIFEST, types.OCI_INDEX),
        (types.OCI_INDEX, types.OCI_MANIFEST),
        (types.OCI_MANIFEST, "text/html"),
    ],
)
def test_two_different_media_types_are_refused(inside: str, given: str) -> None:
    assert "but came as" in refusal({**PLAIN, "mediaType": inside}, given)


@pytest.mark.parametrize(
    "extra", [{"manifests": []}, {"manifests": [], "config": None}, {"manifests": [], "layers": None}]
)
def test_a_document_that_is_manifest_and_index_at_once_is_ambiguous(extra: Fields) -> None:
    for media_type in (types.OCI_MANIFEST, types.OCI_INDEX, None):
        assert "ambiguous" in refusal({**PLAIN, "mediaType": media_type, **extra}, media_type)


@pytest.mark.parametrize("media_type", [types.OCI_INDEX, types.DOCKER_INDEX])
def test_an_index_is_no_manifest(media_type: str) -> None:
    assert "not the manifest of one image" in refusal({**PLAIN, "mediaType": media_type})
    assert "not the manifest of one image" in refusal({"schemaVersion": 2, "manifests": []})


@pytest.mark.parametrize(
    "fields",
    [
        {"schemaVersion": 1, "name": "a", "fsLayers": [{"blobSum": "sha256:00"}], "history": []},
        {**PLAIN, "mediaType": "application/vnd.docker.distribution.manifest.v1+prettyjws"},
        {**PLAIN, "schemaVersion": 1},
        {**PLAIN, "fsLayers": []},
    ],
)
def test_schema_1_is_not_supported(fields: Fields) -> None:
    assert "schema 1 is not supported" in refusal(fields)


def test_schema_1_by_its_content_type_is_not_supported() -> None:
    given = "application/vnd.docker.distribution.manifest.v1+json"
    assert "schema 1 is not supported" in refusal({**PLAIN, "mediaType": None}, given)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schemaVersion": None}, "must have schemaVersion 2, not none"),
        ({"schemaVersion": 3}, "must have schemaVersion 2, not 3"),
        ({"schemaVersion": "2"}, "must be an integer"),
        ({"config": None}, '"config" must be a JSON object'),
        ({"layers": {}}, '"layers" must be a list'),
        ({"layers": [1]}, '"layers" 0 must be a JSON object'),
        ({"mediaType": "application/octet-stream"}, "unknown media type"),
    ],
)
def test_a_malformed_manifest_is_refused(changes: Fields, reason: str) -> None:
    assert reason in refusal({**PLAIN, **changes})


@pytest.mark.parametrize("document", [b"null", b"[]", b'"x"', b"1"])
def test_what_is_no_object_is_refused(document: bytes) -> None:
    with pytest.raises(ImageError, match="manifest must be a JSON object"):
        Manifest.read(document)


def test_a_manifest_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(ImageError, match="exceeded maximum allowed size: 4194305 bytes") as error:
        Manifest.read(b"x" * (4 * 1024 * 1024 + 1))
    assert error.value.limit == "manifest"
    content = encoded(PLAIN)
    Manifest.read(content, None, Limits(manifest=len(content)))
    with pytest.raises(ImageError, match="exceeded maximum allowed size"):
        Manifest.read(content, None, Limits(manifest=len(content) - 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {**descriptor(b"{}", types.OCI_EMPTY)}},
        {"artifactType": "application/vnd.example"},
        {"config": descriptor(CONFIG, "application/vnd.cncf.helm.config.v1+json")},
    ],
)
def test_an_artifact_is_read_but_is_no_runnable_image(changes: Fields) -> None:
    found = read({**PLAIN, **changes})
    with pytest.raises(ImageError, match="not a runnable image"):
        found.check_runnable()


@pytest.mark.parametrize("media_type", sorted(types.LAYERS))
def test_every_known_type_of_layer_can_be_run(media_type: str) -> None:
    read({**PLAIN, "layers": [descriptor(b"l", media_type)]}).check_runnable()


@pytest.mark.parametrize("media_type", [types.OCI_LAYER_GZIP + "+encrypted", "application/vnd.oci.image.layer.v2.tar"])
def test_an_unknown_type_of_layer_is_refused_by_name(media_type: str) -> None:
    found = read({**PLAIN, "layers": [descriptor(b"l", types.OCI_LAYER), descriptor(b"l", media_type)]})
    with pytest.raises(ImageError) as error:
        found.check_runnable()
    assert f'layer 1 has the unknown media type "{media_type}"' in str(error.value)
