"""A stream that is read in a thread: the same bytes, the same errors, and no thread left."""

import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from unionfs.archive import ArchiveError, ReadAhead

CONTENT = bytes(range(256)) * 20_000


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


class Counting(io.BytesIO):
    """Counts how often it is read; the reads after the first *good* ones raise."""

    def __init__(self, content: bytes, good: int = 1 << 30) -> None:
        super().__init__(content)
        self.reads = 0
        self.good = good
        self.enough = threading.Event()

    def read(self, *arguments: Any) -> bytes:
        self.reads += 1
        if self.reads > self.good:
            raise ArchiveError("damaged")
        if self.reads == 4:
            self.enough.set()
        return super().read(*arguments)


@pytest.mark.parametrize("step", [1000, 1 << 20, 3 << 20, -1])
def test_content_comes_through_unchanged(step: int) -> None:
    with ReadAhead(io.BytesIO(CONTENT)) as stream:
        assert b"".join(iter(lambda: stream.read(step), b"")) == CONTENT
        assert stream.read(1) == b""


def test_empty_stream_is_empty() -> None:
    with ReadAhead(io.BytesIO()) as stream:
        assert stream.read(1) == b""


def test_error_comes_after_the_content_before_it_and_again() -> None:
    with ReadAhead(Counting(CONTENT, good=2)) as stream:
        for _ in range(2):
            assert len(stream.read(1 << 20)) == 1 << 20
        for _ in range(2):
            with pytest.raises(ArchiveError, match="damaged"):
                stream.read(1)


def test_a_few_pieces_are_read_before_they_are_asked_for_and_no_more() -> None:
    source = Counting(CONTENT * 10)
    with ReadAhead(source) as stream:
        assert source.enough.wait(10)
        stream.read(1)
    assert source.reads <= 6


def test_stream_is_the_callers_again_once_this_is_closed() -> None:
    source = Counting(CONTENT * 10)
    with ReadAhead(source) as stream:
        stream.read(1)
    reads = source.reads
    stream.close()
    assert source.read(1)
    assert source.reads == reads + 1
