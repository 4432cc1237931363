"""Descriptors and the content they describe."""

import base64

import pytest

from tests.image.documents import Fields, descriptor
from unionfs.image import Descriptor, ImageError, Platform
from unionfs.image import media_type as types
from unionfs.image.strict_json import Fields as JsonFields

CONTENT = b"content"
PLAIN = descriptor(CONTENT, types.OCI_LAYER)


def read(fields: Fields) -> Descriptor:
    return Descriptor.read(JsonFields(fields, "descriptor"))


def test_all_fields_are_read() -> None:
    found = read(
        {
            **PLAIN,
            "annotations": {"k": "v"},
            "platform": {"os": "linux", "architecture": "arm", "variant": "v7", "os.features": ["f"]},
            "artifactType": "application/x",
            "urls": ["https://example.com/blob"],
            "data": base64.b64encode(CONTENT).decode(),
            "unknown": {"x": 1},
        }
    )
    assert found.media_type == types.OCI_LAYER
    assert str(found.digest) == PLAIN["digest"]
    assert found.size == len(CONTENT)
    assert found.annotations == {"k": "v"}
    assert found.platform == Platform("linux", "arm", "v7", os_features=("f",))
    assert found.artifact_type == "application/x"
    assert found.urls == ("https://example.com/blob",)
    assert found.data == CONTENT


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mediaType": None}, 'has no "mediaType"'),
        ({"mediaType": "tar"}, "no media type"),
        ({"mediaType": "text/x\ny"}, "no media type"),
        ({"digest": None}, 'has no "digest"'),
        ({"digest": "sha256:../../x"}, "invalid checksum digest format"),
        ({"digest": "blake3:" + "0" * 64}, "unsupported digest algorithm"),
        ({"size": None}, "has no size"),
        ({"size": -1}, "its size is negative"),
        ({"size": 1.5}, "must be an integer"),
        ({"size": "7"}, "must be an integer"),
        ({"size": 2**63}, "must be an integer"),
        ({"annotations": {"k": 1}}, "must be an object of strings"),
        ({"platform": "linux/amd64"}, "must be a JSON object"),
        ({"urls": "https://example.com"}, "must be a list"),
    ],
)
def test_a_malformed_descriptor_is_refused(changes: Fields, reason: str) -> None:
    with pytest.raises(ImageError) as error:
        read({**PLAIN, **changes})
    assert str(error.value).startswith("descriptor")
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (base64.b64encode(b"CONTENT").decode(), "does not match its digest"),
        (base64.b64encode(CONTENT + b"!").decode(), "has 8 bytes, but its descriptor says 7"),
        ("", "has 0 bytes, but its descriptor says 7"),
        ("Y29udGVudA", "not base64"),
        ("Y29u dGVudA==", "not base64"),
        ("\u00e4", "not base64"),
    ],
)
def test_embedded_data_that_is_other_content_is_refused(data: str, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        read({**PLAIN, "data": data})


def test_size_is_checked_before_the_digest() -> None:
    found = read(PLAIN)
    found.check(CONTENT, "blob")
    with pytest.raises(ImageError, match=r"^blob has 8 bytes, but its descriptor says 7$"):
        found.check(CONTENT + b"!", "blob")
    with pytest.raises(ImageError, match=r"^blob does not match its digest sha256:[0-9a-f]{64}$"):
        found.check(b"CONTENT", "blob")


def test_an_empty_platform_is_no_platform() -> None:
    assert read({**PLAIN, "platform": {"os": "", "architecture": ""}}).platform is None
