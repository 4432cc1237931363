"""Archives made to exhaust memory, disk or time."""

import io
from itertools import islice

import pytest

from tests import tarball
from tests.tar.reading import drain, entries, refusal
from unionfs.tar import LimitError, Limits, Reader, TarError


class Forever:
    """A stream that goes on with one piece again and again."""

    def __init__(self, start: bytes, again: bytes) -> None:
        self.start = io.BytesIO(start)
        self.again = again * max(1, (1 << 20) // len(again))
        self.given = 0

    def read(self, size: int, /) -> bytes:
        piece = self.start.read(size) or self.again[: size // len(self.again) * len(self.again)]
        self.given += len(piece)
        return piece


def limit_reached(stream: Forever, limits: Limits) -> str:
    with pytest.raises(LimitError) as caught:
        drain(Reader(stream, limits))
    return caught.value.limit


def test_the_defaults_are_those_of_the_documentation() -> None:
    limits = Limits()
    assert (limits.bytes, limits.entries, limits.pax_record) == (64 << 30, 2_000_000, 1 << 20)


@pytest.mark.parametrize("size", [(64 << 30) + 1, 1 << 62, 1 << 63, 1 << 64, (1 << 94) - 1])
def test_a_size_of_exbibytes_is_refused_before_any_content_is_read(size: int) -> None:
    stream = Forever(tarball.raw_header(b"a", size=size), bytes(512))
    assert limit_reached(stream, Limits()) == "bytes"
    assert stream.given == 512


def test_a_size_of_exbibytes_by_pax_is_refused_alike() -> None:
    for archive in (
        tarball.file(b"a", pax={"size": str(1 << 63)}),
        tarball.pax_header({"size": str(1 << 63)}) + tarball.raw_header(b"d/"),
    ):
        assert "(bytes)" in refusal(archive)


@pytest.mark.parametrize("size", [8 << 30, (8 << 30) + 1])
@pytest.mark.parametrize("form", ["base256", "pax"])
def test_a_size_beyond_octal_is_exact(size: int, form: str) -> None:
    if form == "pax":
        start = tarball.pax_header({"size": str(size)}) + tarball.raw_header(b"a", size=0)
    else:
        start = tarball.raw_header(b"a", size=size)
    assert next(iter(Reader(Forever(start, bytes(512))))).size == size


def test_content_counts_over_all_entries() -> None:
    archive = tarball.archive(tarball.file(b"a", b"x" * 60), tarball.file(b"b", b"y" * 40), tarball.file(b"c", b"z"))
    assert refusal(archive, Limits(bytes=100)) == (
        "c: the archive's content with its 1 bytes is over the limit of 100 (bytes)"
    )
    assert len(entries(archive, Limits(bytes=101))) == 3


def test_the_number_of_entries_is_limited() -> None:
    archive = tarball.archive(*(tarball.file(b"%d" % n) for n in range(5)))
    assert len(entries(archive, Limits(entries=5))) == 5
    assert refusal(archive, Limits(entries=4)) == "4: the archive's number of entries is over the limit of 4 (entries)"


def test_what_follows_the_archive_is_limited() -> None:
    limits = Limits(trailing=5000)
    assert entries(tarball.archive() + bytes(5000), limits) == []
    assert "(trailing)" in refusal(tarball.archive() + bytes(5001), limits)
    stream = Forever(b"", bytes(512))
    assert limit_reached(stream, Limits(trailing=10 << 20)) == "trailing"
    assert stream.given < 13 << 20


def test_endless_sparse_extension_blocks_end_at_the_limit() -> None:
    full = (tarball.octal(0, 12) * 42) + b"\1" + bytes(7)
    start = tarball.gnu_sparse(b"s", [(0, b"")] * 4, 10, blocks=1)[:512]
    stream = Forever(start, full)
    assert limit_reached(stream, Limits()) == "sparse_extents"
    assert stream.given < 10 << 20


def test_endless_extension_headers_end_at_the_limit() -> None:
    stream = Forever(b"", tarball.pax_header({"path": "x"}))
    with pytest.raises(TarError, match="more than 32 extension headers"):
        drain(Reader(stream))
    assert stream.given <= 1 << 20


@pytest.mark.parametrize("limit", ["bytes", "entries", "pax_record", "sparse_extents", "trailing"])
def test_every_limit_names_itself(limit: str) -> None:
    archive = tarball.archive(
        tarball.pax_sparse(b"s", [(n * 2, b"x") for n in range(9)], 20), tarball.file(b"b")
    ) + bytes(9)
    assert len(entries(archive)) == 2
    tight = Limits(**{limit: 1})
    with pytest.raises(LimitError) as caught:
        entries(archive, tight)
    assert caught.value.limit == limit
    assert f"is over the limit of 1 ({limit})" in str(caught.value)


def test_a_hundred_thousand_hard_links_are_read_one_by_one() -> None:
    stream = Forever(b"", tarball.hardlink(b"l", b"a"))
    assert sum(1 for _ in islice(Reader(stream), 100_000)) == 100_000
    assert stream.given <= (100_000 * 512) + (1 << 20)


def test_a_path_of_two_thousand_components_is_one_name() -> None:
    name = b"/".join([b"d"] * 2000)
    assert [entry.name for entry in entries(tarball.archive(tarball.file(name)))] == [name]
