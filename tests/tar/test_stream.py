"""The archive as a stream: its end, what follows it, and content read or left."""

import hashlib
import io
import tracemalloc

import pytest

from tests import tarball
from tests.tar.reading import content, contents, drain, entries, refusal
from unionfs.tar import Reader, TarError

BLOCK = 512


class Trickle:
    """A stream that gives a few bytes at a time, as a pipe or a decompressor may, and hashes them."""

    def __init__(self, archive: bytes, step: int) -> None:
        self.rest = io.BytesIO(archive)
        self.step = step
        self.digest = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        piece = self.rest.read(min(size, self.step))
        self.digest.update(piece)
        return piece


SMALL = [(b"a", b""), (b"b", b"x"), (b"c", b"y" * 511), (b"d", b"z" * 512), (b"e", b"w" * 513)]
ARCHIVE = tarball.archive(*(tarball.file(name, data) for name, data in SMALL))


@pytest.mark.parametrize("archive", [b"", bytes(512), bytes(1024), bytes(10240), bytes(1024) + b"junk"])
def test_nothing_and_zeros_are_an_empty_archive(archive: bytes) -> None:
    assert entries(archive) == []


@pytest.mark.parametrize("end", [b"", bytes(512), bytes(1024), bytes(10240)])
def test_the_end_of_archive_blocks_may_be_missing(end: bytes) -> None:
    assert contents(tarball.archive(*(tarball.file(name, data) for name, data in SMALL), end=False) + end) == dict(
        SMALL
    )


def test_padding_may_be_missing_at_the_very_end() -> None:
    assert contents(tarball.raw_header(b"a", size=3) + b"abc") == {b"a": b"abc"}


@pytest.mark.parametrize("step", [1, 7, 511, 512, 513, 4096, 1 << 20])
@pytest.mark.parametrize("end", [b"", b"garbage" * 1000, bytes(10240), tarball.file(b"hidden", b"!")])
def test_every_byte_is_read_whatever_follows_the_end(step: int, end: bytes) -> None:
    stream = Trickle(ARCHIVE + end, step)
    reader = Reader(stream)
    assert [(entry.name, content(entry, reader.chunks())) for entry in reader] == SMALL
    assert stream.digest.digest() == hashlib.sha256(ARCHIVE + end).digest()


def test_every_byte_is_read_even_if_no_content_is() -> None:
    stream = Trickle(ARCHIVE + b"trailing", 1 << 20)
    assert [entry.name for entry in Reader(stream)] == [name for name, _ in SMALL]
    assert stream.digest.digest() == hashlib.sha256(ARCHIVE + b"trailing").digest()


def test_a_single_block_of_zeros_within_an_archive_is_refused() -> None:
    archive = tarball.file(b"a", b"x") + bytes(BLOCK) + tarball.file(b"b", b"y")
    assert refusal(archive) == "at byte 1024: a single block of zeros stands before more of the archive"


@pytest.mark.parametrize("cut", [1, 100, 511])
def test_an_archive_that_ends_within_a_header_is_refused(cut: int) -> None:
    assert refusal(ARCHIVE[:cut]) == "at byte 0: the archive ends within a header"
    assert refusal(tarball.file(b"a") + bytes(cut)) == "at byte 512: the archive ends within a header"
    assert refusal(tarball.file(b"a") + bytes(BLOCK + cut)) == "at byte 512: the archive ends within a header"


@pytest.mark.parametrize("size", [1, 512, 513, 3 << 20])
@pytest.mark.parametrize("missing", [1, 300])
def test_an_archive_that_ends_within_content_is_refused(size: int, missing: int) -> None:
    archive = tarball.raw_header(b"etc/a", size=size) + bytes(max(0, size - missing))
    assert refusal(archive) == "etc/a: the archive ends within its content"
    with pytest.raises(TarError, match=r"^etc/a: the archive ends within its content$"):
        list(Reader(io.BytesIO(archive)))


def test_every_truncation_of_an_archive_ends_in_an_entry_less_or_an_error() -> None:
    whole = [name for name, _ in SMALL]
    for cut in range(len(ARCHIVE)):
        names = []
        reader = Reader(io.BytesIO(ARCHIVE[:cut]))
        try:
            for entry in reader:
                for _ in reader.chunks():
                    pass
                names.append(entry.name)
        except TarError:
            assert cut % BLOCK or names != whole
        assert names == whole[: len(names)]


@pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, (5 << 20) + 17])
@pytest.mark.parametrize("step", [65536, 1 << 30])
def test_large_content_comes_in_pieces_of_at_most_a_mebibyte(size: int, step: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    data = data[:size]
    reader = Reader(Trickle(tarball.archive(tarball.file(b"big", data), tarball.file(b"next", b"ok")), step))
    stream = iter(reader)
    next(stream)
    place = 0
    for offset, piece in reader.chunks():
        assert offset == place
        assert 0 < len(piece) <= 1 << 20
        assert piece == data[offset : offset + len(piece)]
        place += len(piece)
    assert place == size
    assert next(stream).name == b"next"
    assert list(reader.chunks()) == [(0, b"ok")]


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_content_that_was_not_read_is_passed_over(taken: int) -> None:
    archive = tarball.archive(tarball.file(b"big", b"x" * (3 << 20)), tarball.file(b"next", b"ok"))
    reader = Reader(io.BytesIO(archive))
    stream = iter(reader)
    next(stream)
    chunks = reader.chunks()
    for _ in range(taken):
        next(chunks)
    assert next(stream).name == b"next"
    assert list(reader.chunks()) == [(0, b"ok")]


def test_a_second_call_for_chunks_goes_on_where_the_first_stopped() -> None:
    reader = Reader(io.BytesIO(tarball.archive(tarball.file(b"big", b"x" * (2 << 20)))))
    next(iter(reader))
    first = next(reader.chunks())
    rest = list(reader.chunks())
    assert rest[0][0] == len(first[1])
    assert len(first[1]) + sum(len(piece) for _, piece in rest) == 2 << 20
    assert list(reader.chunks()) == []


def test_what_has_no_content_gives_no_chunks() -> None:
    archive = tarball.archive(
        tarball.file(b"a"), tarball.directory(b"d"), tarball.symlink(b"l", b"a"), tarball.fifo(b"f")
    )
    reader = Reader(io.BytesIO(archive))
    assert list(reader.chunks()) == []
    assert [list(reader.chunks()) for _ in reader] == [[], [], [], []]
    assert list(reader.chunks()) == []


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_chunks_of_an_entry_that_was_left_are_an_error_and_no_wrong_bytes(size: int) -> None:
    reader = Reader(io.BytesIO(tarball.archive(tarball.file(b"a", b"x" * size), tarball.file(b"b", b"y" * size))))
    stale = [reader.chunks() for _ in reader]
    for chunks in stale:
        with pytest.raises(RuntimeError, match="has left the entry"):
            next(chunks)


def test_a_reader_that_came_to_the_end_stays_there() -> None:
    reader = Reader(io.BytesIO(ARCHIVE))
    assert len(list(reader)) == 5
    assert list(reader) == []


def test_reading_can_be_taken_up_again() -> None:
    reader = Reader(io.BytesIO(ARCHIVE))
    assert next(iter(reader)).name == b"a"
    assert [entry.name for entry in reader] == [b"b", b"c", b"d", b"e"]


def test_what_the_stream_itself_raises_passes_through() -> None:
    class Broken:
        def read(self, size: int, /) -> bytes:
            raise EOFError(size)

    with pytest.raises(EOFError):
        list(Reader(Broken()))


def test_memory_does_not_grow_with_the_archive() -> None:
    class Generated:
        """100 MiB in one file, and 20 000 small ones."""

        def __init__(self) -> None:
            self.pieces = iter(
                [
                    tarball.raw_header(b"big", size=100 << 20),
                    *[bytes(1 << 20)] * 100,
                    *[tarball.file(b"s", b"x")] * 20_000,
                ]
            )

        def read(self, size: int, /) -> bytes:
            assert size >= 1 << 20
            return next(self.pieces, b"")

    stream = Generated()
    tracemalloc.start()
    try:
        assert drain(Reader(stream)) == (100 << 20) + 20_000
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
