"""Any bytes at all: a reader either gives entries or raises TarError, and it always comes to an end."""

import io
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests import tarball
from unionfs.tar import Entry, Limits, Reader, TarError

BLOCK = 512
LIMITS = Limits(pax_record=1 << 16, entries=1000, bytes=1 << 24, sparse_extents=1000, trailing=1 << 24)
FIXED = settings(derandomize=True, deadline=None)

VALID = tarball.archive(
    tarball.directory(b"etc/", mtime=5),
    tarball.file(b"etc/a", b"x" * 700, uid=4000000000, pax={"mtime": "-1.5"}, xattrs={b"user.k": b"\0\n="}),
    tarball.symlink(b"l" * 200, b"t" * 200),
    tarball.hardlink(b"h", b"etc/a"),
    tarball.extension(b"n" * 300 + b"\0", b"L"),
    tarball.char(b"c", 5, 1, magic=tarball.GNU),
    tarball.pax_header({"comment": "x"}, b"g"),
    tarball.gnu_sparse(b"s", [(n * 1024, b"x" * 10) for n in range(30)], 1 << 20),
    *(
        tarball.pax_sparse(b"s", [(n * 1024, b"x" * 10) for n in range(5)], 1 << 20, form)
        for form in ("0.0", "0.1", "1.0")
    ),
    tarball.file(b"libarchive", pax={"LIBARCHIVE.xattr.user.a%3D": "AQo9AP8"}),
    tarball.whiteout(b"etc/b"),
)


def check(entry: Entry) -> None:
    """Check what is promised of every entry, however hostile the archive."""
    assert b"\0" not in entry.name + entry.linkname
    assert 0 <= entry.mode <= 0o7777
    assert 0 <= entry.uid <= 4294967294
    assert 0 <= entry.gid <= 4294967294
    assert 0 <= entry.size < 1 << 63
    assert 0 <= entry.devmajor < 1 << 12
    assert 0 <= entry.devminor < 1 << 20
    assert -(1 << 63) <= entry.mtime_ns // 1_000_000_000 < 1 << 63
    assert all(name and b"\0" not in name for name in entry.xattrs)


def survive(archive: bytes) -> None:
    stream = io.BytesIO(archive)
    reader = Reader(stream, LIMITS)
    refused = None
    try:
        for entry in reader:
            check(entry)
            end = 0
            for offset, piece in reader.chunks():
                assert piece
                assert offset >= end
                end = offset + len(piece)
            assert end <= entry.size
    except TarError as error:
        refused = str(error)
    assert stream.tell() == len(archive) if refused is None else refused.isprintable() and len(refused) < 500


def mended(archive: bytes) -> bytes:
    """Give every block that looks like a header its right checksum, so that the change gets past that test."""
    blocks = (archive[at : at + BLOCK] for at in range(0, len(archive), BLOCK))
    return b"".join(
        tarball.checksummed(block) if block[257:262] == b"ustar" and len(block) == BLOCK else block for block in blocks
    )


def test_the_archive_that_is_mutated_is_valid() -> None:
    assert len(list(Reader(io.BytesIO(VALID), LIMITS))) == 11
    assert mended(VALID) == VALID


@given(st.binary(max_size=4 * BLOCK))
@settings(FIXED)
def test_random_bytes_raise_nothing_but_tarerror(archive: bytes) -> None:
    survive(archive)


@given(
    st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.binary(min_size=1, max_size=12)), min_size=1, max_size=8),
    st.integers(0, len(VALID)),
)
@settings(FIXED, max_examples=400)
def test_changed_bytes_raise_nothing_but_tarerror(changes: list[tuple[int, bytes]], cut: int) -> None:
    archive = bytearray(VALID)
    for at, piece in changes:
        archive[at : at + len(piece)] = piece
    survive(mended(bytes(archive)))
    survive(mended(bytes(archive))[:cut])


FIELDS = [
    (0, 100),
    (100, 8),
    (108, 8),
    (116, 8),
    (124, 12),
    (136, 12),
    (156, 1),
    (157, 100),
    (257, 8),
    (329, 8),
    (345, 155),
    (386, 126),
]


@given(
    st.integers(0, len(VALID) // BLOCK - 1),
    st.sampled_from(FIELDS),
    st.one_of(
        st.binary(max_size=126),
        st.integers(-(1 << 80), 1 << 80).map(lambda value: tarball.base256(value, 12)),
        st.integers(0, 1 << 40).map(lambda value: b"%o" % value),
    ),
)
@settings(FIXED, max_examples=400)
def test_changed_fields_raise_nothing_but_tarerror(block: int, field: tuple[int, int], value: bytes) -> None:
    at = block * BLOCK + field[0]
    survive(mended(VALID[:at] + value[: field[1]].ljust(field[1], b"\0") + VALID[at + field[1] :]))


KEYWORDS = st.sampled_from(
    [
        b"path",
        b"linkpath",
        b"uid",
        b"size",
        b"mtime",
        b"SCHILY.xattr.user.k",
        b"LIBARCHIVE.xattr.user.k%00",
        *(b"GNU.sparse." + word for word in b"major minor name size realsize numblocks offset numbytes map".split()),
    ]
)


@given(
    st.lists(st.tuples(KEYWORDS, st.one_of(st.binary(max_size=40), st.integers().map(str).map(str.encode)))),
    st.binary(max_size=600),
)
@settings(FIXED, max_examples=300)
def test_changed_records_raise_nothing_but_tarerror(records: list[tuple[bytes, bytes]], content: bytes) -> None:
    survive(tarball.archive(tarball.file(b"a", content, pax=records), tarball.file(b"b", b"next")))


def test_blocks_in_any_order_raise_nothing_but_tarerror() -> None:
    blocks = [VALID[at : at + BLOCK] for at in range(0, len(VALID), BLOCK)]
    chance = random.Random(0)
    for _ in range(500):
        chance.shuffle(blocks)
        survive(b"".join(blocks))
