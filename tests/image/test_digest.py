"""Digests: what is one, and what is refused before it can become part of a path."""

import hashlib

import pytest

from unionfs.image import Digest, ImageError

EMPTY_SHA256 = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
EMPTY_SHA512 = (
    "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
)


@pytest.mark.parametrize("text", [EMPTY_SHA256, EMPTY_SHA512])
def test_a_digest_is_written_as_it_was_read(text: str) -> None:
    digest = Digest.parse(text)
    assert str(digest) == text
    assert digest.matches(b"")
    assert not digest.matches(b"\0")
    assert digest == Digest.of(b"", digest.algorithm)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "invalid checksum digest format"),
        ("sha256", "invalid checksum digest format"),
        ("sha256:", "invalid checksum digest format"),
        (":" + "a" * 64, "invalid checksum digest format"),
        ("sha256:../../x", "invalid checksum digest format"),
        ("sha256:" + "../" * 21 + "a", "invalid checksum digest format"),
        ("sha256:" + "A" * 64, "invalid checksum digest format"),
        ("sha256:" + "a" * 63 + "\n", "invalid checksum digest format"),
        ("sha256:" + "\u0661" * 64, "invalid checksum digest format"),
        ("SHA256:" + "a" * 64, "invalid checksum digest format"),
        ("sha256/..:" + "a" * 64, "invalid checksum digest format"),
        ("sha256:" + "a" * 63, "invalid checksum digest length"),
        ("sha256:" + "a" * 65, "invalid checksum digest length"),
        ("sha512:" + "a" * 64, "invalid checksum digest length"),
        ("md5:" + "a" * 32, "unsupported digest algorithm"),
        ("blake3:" + "a" * 64, "unsupported digest algorithm"),
        ("sha384:" + "a" * 96, "unsupported digest algorithm"),
        ("sha256+b64u:" + "a" * 43, "unsupported digest algorithm"),
    ],
)
def test_what_is_no_digest_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        Digest.parse(text)


def test_an_unsupported_algorithm_says_what_is_supported() -> None:
    with pytest.raises(ImageError) as error:
        Digest.parse("blake3:" + "0" * 64)
    assert "blake3" in str(error.value)
    assert "only sha256 and sha512 are supported" in str(error.value)


def test_an_invalid_digest_cannot_be_made_by_its_parts_either() -> None:
    with pytest.raises(ImageError, match="invalid checksum digest format"):
        Digest("sha256", "/" * 64)


def test_the_hasher_is_of_the_digests_algorithm() -> None:
    hasher = Digest.parse(EMPTY_SHA512).hasher()
    hasher.update(b"x")
    assert hasher.hexdigest() == hashlib.sha512(b"x").hexdigest()
