"""The fixed files of an OCI layout."""

import pytest

from unionfs.image import Digest, ImageError
from unionfs.image.layout import blob_path, check_marker


def test_a_blobs_path_is_algorithm_and_hash() -> None:
    assert blob_path(Digest.parse("sha256:" + "a" * 64)) == "blobs/sha256/" + "a" * 64
    assert blob_path(Digest.parse("sha512:" + "b" * 128)) == "blobs/sha512/" + "b" * 128


@pytest.mark.parametrize("content", [b'{"imageLayoutVersion": "1.0.0"}', b'{"imageLayoutVersion": "1.0.0", "x": 1}\n'])
def test_the_one_version_is_accepted(content: bytes) -> None:
    check_marker(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"imageLayoutVersion": "9.9.9"}', 'imageLayoutVersion "9.9.9" is not supported'),
        (b'{"imageLayoutVersion": "1.0"}', "is not supported"),
        (b"{}", 'has no "imageLayoutVersion"'),
        (b"", "oci-layout is not valid JSON"),
        (b"[]", "must be a JSON object"),
    ],
)
def test_another_version_or_none_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as error:
        check_marker(content)
    assert reason in str(error.value)
