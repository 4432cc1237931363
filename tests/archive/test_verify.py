"""A stream checked against digest and size while it is read."""

import io

import pytest

from unionfs.archive import ArchiveError, VerifyingReader
from unionfs.image import Digest

CONTENT = b"content" * 1000
DIGEST = Digest.of(CONTENT)


def reader(content: bytes, size: int | None = len(CONTENT), digest: Digest = DIGEST) -> VerifyingReader:
    return VerifyingReader(io.BytesIO(content), digest, size, "blob x")


@pytest.mark.parametrize("step", [1, 7, 6999, 7000, 7001, -1])
@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_right_content_comes_through_unchanged(step: int, size: int | None) -> None:
    stream = reader(CONTENT, size)
    assert b"".join(iter(lambda: stream.read(step), b"")) == CONTENT
    assert stream.read(1) == b""
    assert stream.count == len(CONTENT)
    stream.verify()


def test_sha512_is_checked_too() -> None:
    reader(CONTENT, digest=Digest.of(CONTENT, "sha512")).verify()
    with pytest.raises(ArchiveError, match="does not match its digest"):
        reader(CONTENT, digest=Digest.of(b"", "sha512")).verify()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (CONTENT[:-1], "blob x has 6999 bytes, but its descriptor says 7000"),
        (b"", "blob x has 0 bytes, but its descriptor says 7000"),
        (CONTENT + b"\0", "blob x is longer than the 7000 bytes of its descriptor"),
        (CONTENT[:-1] + b"!", "blob x does not match its digest: expected sha256:"),
    ],
)
@pytest.mark.parametrize("step", [1, 7000, 1 << 20])
def test_wrong_content_is_an_error_before_its_last_byte_is_given(content: bytes, reason: str, step: int) -> None:
    stream = reader(content)
    pieces: list[bytes] = []
    with pytest.raises(ArchiveError, match=reason):
        pieces.extend(iter(lambda: stream.read(step), b""))
    assert sum(map(len, pieces)) < len(CONTENT)


def test_without_a_size_a_wrong_digest_shows_at_the_end() -> None:
    stream = reader(b"other", None)
    assert stream.read(5) == b"other"
    with pytest.raises(ArchiveError, match=f"got {Digest.of(b'other')}"):
        stream.read(1)


def test_an_error_comes_again_when_it_is_read_again() -> None:
    stream = reader(b"other", None)
    with pytest.raises(ArchiveError, match="does not match"):
        stream.verify()
    with pytest.raises(ArchiveError, match="does not match"):
        stream.verify()


@pytest.mark.parametrize("size", [0, None])
def test_empty_content_has_a_digest_too(size: int | None) -> None:
    reader(b"", size, Digest.of(b"")).verify()
    with pytest.raises(ArchiveError, match="does not match its digest"):
        reader(b"", size, DIGEST).verify()


def test_a_reader_that_stops_early_has_verified_nothing() -> None:
    stream = reader(CONTENT + b"more")
    assert stream.read(10) == CONTENT[:10]
    with pytest.raises(ArchiveError, match="longer than"):
        stream.verify()


def test_a_size_of_terabytes_costs_nothing_by_itself() -> None:
    with pytest.raises(ArchiveError, match="has 7000 bytes, but its descriptor says 9223372036854775807"):
        reader(CONTENT, 2**63 - 1).verify()
