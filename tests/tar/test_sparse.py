"""Sparse files in GNU's four formats."""

import io

import pytest

from tests import tarball
from tests.tar.reading import contents, entries, only, refusal
from unionfs.tar import Limits, Reader

FORMATS = ["old", "0.0", "0.1", "1.0"]
BLOCK = 512


def sparse(form: str, name: bytes, extents: list[tuple[int, bytes]], size: int) -> bytes:
    if form == "old":
        return tarball.gnu_sparse(name, extents, size)
    return tarball.pax_sparse(name, extents, size, form)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("count", [1, 4, 5, 25, 26, 46, 47, 500])
def test_content_and_holes_are_where_the_map_says(form: str, count: int) -> None:
    extents = [(n * 2048 + 1024, b"%03d|" % n * 128) for n in range(count)]
    size = count * 2048 + 3000
    archive = tarball.archive(sparse(form, b"dir/s", extents, size), tarball.file(b"next", b"ok"))
    entry = entries(archive)[0]
    assert (entry.name, entry.size) == (b"dir/s", size)
    assert entry.sparse == tuple((offset, 512) for offset, _ in extents)
    expected = bytearray(size)
    for offset, part in extents:
        expected[offset : offset + 512] = part
    assert contents(archive) == {b"dir/s": bytes(expected), b"next": b"ok"}


@pytest.mark.parametrize("form", FORMATS)
def test_chunks_leave_the_holes_out(form: str) -> None:
    archive = tarball.archive(sparse(form, b"s", [(100, b"abc"), (1 << 40, b"de")], (1 << 40) + 2))
    reader = Reader(io.BytesIO(archive))
    (chunks,) = [list(reader.chunks()) for _ in reader]
    assert chunks == [(100, b"abc"), (1 << 40, b"de")]


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_may_be_one_hole(form: str) -> None:
    archive = tarball.archive(sparse(form, b"s", [((1 << 40), b"")], 1 << 40), tarball.file(b"next", b"ok"))
    assert [(entry.size, entry.sparse) for entry in entries(archive)] == [(1 << 40, ()), (2, None)]


@pytest.mark.parametrize("form", FORMATS)
def test_a_map_may_be_empty(form: str) -> None:
    assert only(tarball.archive(sparse(form, b"s", [], 4096))).sparse == ()


@pytest.mark.parametrize("form", FORMATS)
def test_a_tebibyte_of_holes_counts_for_its_data_alone(form: str) -> None:
    archive = tarball.archive(sparse(form, b"s", [(1 << 30, b"x" * 4096)], 1 << 40))
    assert only(archive, Limits(bytes=4096)).size == 1 << 40
    assert "(bytes)" in refusal(archive, Limits(bytes=4095))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "extents",
    [
        [(1024, b"a"), (0, b"b")],
        [(0, b"abc"), (2, b"def")],
        [(0, b"a"), (0, b"a")],
        [(4096, b"a")],
        [(4090, b"abcdefg")],
        [(4097, b"")],
    ],
)
def test_extents_out_of_order_or_beyond_the_file_are_refused(form: str, extents: list[tuple[int, bytes]]) -> None:
    text = refusal(tarball.archive(sparse(form, b"s", extents, 4096)))
    assert text == "s: its sparse map is not in order or reaches beyond the file"


def test_a_negative_offset_or_length_is_refused() -> None:
    for numbers in ("-1,1", "0,-1", "5,3,9,-3"):
        records = {"GNU.sparse.map": numbers, "GNU.sparse.size": "10", "GNU.sparse.name": "s"}
        assert "a negative number" in refusal(tarball.archive(tarball.file(b"a", pax=records)))
    assert "not in order" in refusal(tarball.archive(tarball.gnu_sparse(b"s", [(-5, b"x")], 10)))


@pytest.mark.parametrize("size", [1 << 63, -1])
def test_a_size_no_file_can_have_is_refused(size: int) -> None:
    for archive in (tarball.gnu_sparse(b"s", [], size), tarball.pax_sparse(b"s", [], size)):
        assert refusal(archive) == f"s: its size {size} is outside what a file can have"


def test_a_map_that_promises_more_or_less_than_is_stored_is_refused() -> None:
    for numbers in ("0,2", "0,4", "0,1,1,1"):
        records = {"GNU.sparse.map": numbers, "GNU.sparse.size": "10", "GNU.sparse.name": "s"}
        text = refusal(tarball.archive(tarball.file(b"a", b"abc", pax=records)))
        assert text == "s: its sparse map doesn't match the amount of content"


def test_a_pax_size_says_how_much_is_stored() -> None:
    member = tarball.pax_header({"GNU.sparse.map": "5,3", "GNU.sparse.size": "10", "size": "3"})
    archive = tarball.archive(member, tarball.raw_header(b"s"), tarball.padded(b"abc"))
    assert contents(archive) == {b"s": b"\0\0\0\0\0abc\0\0"}


@pytest.mark.parametrize(
    ("records", "text"),
    [
        ([("GNU.sparse.map", "0,1,2"), ("GNU.sparse.size", "9")], "an offset without a length"),
        ([("GNU.sparse.map", "0;1"), ("GNU.sparse.size", "9")], "an offset without a length"),
        ([("GNU.sparse.map", "0,x"), ("GNU.sparse.size", "9")], "is not a number"),
        ([("GNU.sparse.map", "0,0"), ("GNU.sparse.size", "9"), ("GNU.sparse.numblocks", "2")], "another length"),
        ([("GNU.sparse.map", "0,0")], "doesn't tell the size"),
        ([("GNU.sparse.name", "s")], "doesn't tell the size"),
        ([("GNU.sparse.size", "9"), ("GNU.sparse.offset", "0")], "an offset without a length"),
        ([("GNU.sparse.size", "9"), ("GNU.sparse.numbytes", "0"), ("GNU.sparse.offset", "0")], "out of order"),
        (
            [("GNU.sparse.size", "9"), *[("GNU.sparse.offset", "0")] * 2, *[("GNU.sparse.numbytes", "0")] * 2],
            "out of order",
        ),
        ([("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9")], "format 2.0 is unknown"),
        ([("GNU.sparse.major", "1"), ("GNU.sparse.minor", "1"), ("GNU.sparse.realsize", "9")], "format 1.1 is unknown"),
        ([("GNU.sparse.major", "\x1b"), ("GNU.sparse.realsize", "9")], "format \\x1b.0 is unknown"),
    ],
)
def test_malformed_maps_in_records_are_refused(records: list[tuple[tarball.Text, tarball.Text]], text: str) -> None:
    assert text in refusal(tarball.archive(tarball.file(b"a", pax=records)))


def map_before(content: bytes, size: str = "4096") -> bytes:
    records = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": size}
    return tarball.archive(tarball.file(b"s", content, pax=records))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "doesn't end within its content"),
        (b"1\n0\n5\n", "doesn't end within its content"),
        (b"1\n0\n".ljust(512, b"\n"), "is not a number"),
        (b"x\n".ljust(512, b"\0"), "is not a number"),
        (b"\0" * 512, "is not a number"),
        (b"1" * 512, "is not a number"),
        (b"-1\n".ljust(512, b"\0"), "a negative number"),
        (b"1\n0\n5".ljust(1024, b"\0"), "something else than numbers"),
        (b"30\n" + b"9" * 4093, "something else than numbers"),
        (b"1\n0\nx\n".ljust(512, b"\0"), "is not a number"),
    ],
)
def test_malformed_maps_before_the_content_are_refused(content: bytes, text: str) -> None:
    assert text in refusal(map_before(content) + bytes(8192))


def test_an_archive_that_ends_within_a_map_is_refused() -> None:
    old = tarball.gnu_sparse(b"s", [(n * 2, b"x") for n in range(30)], 100)
    new = tarball.pax_sparse(b"s", [(n * 2, b"x") for n in range(300)], 600)
    for archive in (old[: BLOCK + 100], old[: 2 * BLOCK], new[: 3 * BLOCK + 10], new[: 4 * BLOCK]):
        assert refusal(archive) == "s: the archive ends within its sparse map"


def test_extension_blocks_without_an_extent_are_refused() -> None:
    empty = tarball.gnu_sparse(b"s", [(0, b"")], 10, blocks=10_000)
    assert refusal(empty) == "s: its sparse map goes on after its end"


@pytest.mark.parametrize("form", FORMATS)
def test_the_number_of_extents_is_limited_whether_they_hold_data_or_not(form: str) -> None:
    limits = Limits(sparse_extents=100)
    assert only(tarball.archive(sparse(form, b"s", [(0, b"")] * 100, 10)), limits).sparse == ()
    text = refusal(tarball.archive(sparse(form, b"s", [(0, b"")] * 125, 10)), limits)
    assert text == "s: the number of extents in its sparse map is over the limit of 100 (sparse_extents)"


def test_a_map_that_says_it_is_huge_is_refused_before_it_is_read() -> None:
    assert "(sparse_extents)" in refusal(map_before(b"9999999999999\n".ljust(512, b"\0")))


@pytest.mark.parametrize("magic", [tarball.USTAR, tarball.V7])
def test_gnus_sparse_type_in_another_format_is_refused(magic: bytes) -> None:
    text = refusal(tarball.archive(tarball.gnu_sparse(b"s", [(0, b"x")], 10, magic=magic)))
    assert text == "s: its GNU sparse map stands in a header of another format"


def test_sparse_records_have_no_effect_on_what_is_not_a_file() -> None:
    records = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "5"}
    archive = tarball.archive(tarball.directory(b"d", pax=records))
    assert (only(archive).size, only(archive).sparse) == (0, None)


def test_a_sparse_file_takes_other_extensions_too() -> None:
    for archive in (
        tarball.pax_sparse(b"s", [(3, b"x")], 10, pax={"uid": "7"}, xattrs={b"user.k": b"v"}),
        tarball.pax_header({"uid": "7", "SCHILY.xattr.user.k": "v", "path": "s"})
        + tarball.gnu_sparse(b"cut", [(3, b"x")], 10),
    ):
        entry = only(archive)
        assert (entry.name, entry.uid, dict(entry.xattrs), entry.size) == (b"s", 7, {b"user.k": b"v"}, 10)
