"""Files that will be read next are read ahead where a directory's files are read in order, and nowhere else."""

import errno
import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.stacks import File, Layer, Symlink
from tests.unions import EVERYTHING, Kernel, Stack
from unionfs.layer.ahead import Route
from unionfs.union import prefetch
from unionfs.union.inode import Inode
from unionfs.union.prefetch import Prefetch
from unionfs.union.step import run
from unionfs.union.union import Settings

MANY = 200
LOWERS: Sequence[Layer] = [
    {f"many/f{number}": File(b"x") for number in range(0, MANY, 2)}
    | {f"small{each}/f{number}": File(b"x") for number in range(6) for each in range(4)}
    | {"mixed/link": Symlink("x"), "mixed/d/f": File(b"x")}
    | {f"mixed/f{number}": File(b"x") for number in range(10)},
    {f"many/f{number}": File(b"x") for number in range(1, MANY, 2)},
]


class Reader:
    """Reads files through a prefetch, and knows what that had read ahead."""

    def __init__(self, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
        self._kernel = kernel
        self.prefetch = Prefetch()
        self.ahead: list[str] = []
        self.batches: list[int] = []
        self.missing: Callable[[int], int] = lambda count: count
        self.keeps_answers = False
        self.unanswered: list[Callable[[], None]] = []
        monkeypatch.setattr(prefetch, "read_content", self._read_content)

    def _read_content(self, wanted: list[tuple[Route, list[bytes]]], limit: int) -> int:
        assert limit == 4 << 20
        names = [f"{os.fsdecode(route.path)}/{os.fsdecode(name)}" for route, found in wanted for name in found]
        self.ahead += names
        self.batches.append(len(names))
        return self.missing(len(names))

    def read(self, path: str, *, cold: bool = True) -> None:
        node = self._kernel.node(path)
        assert isinstance(node, Inode)
        aside = self.prefetch.note(node, cold=cold)
        if aside is not None:
            result = aside.step()
            if self.keeps_answers:
                self.unanswered.append(lambda: aside.learn(result))
            else:
                aside.learn(result)

    def files(self, directory: str) -> list[str]:
        """Give the paths of the files of a directory in listing order."""
        return [f"{directory}/{name}" for name in self._kernel.names(directory) if name.startswith("f")]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    with Stack(tmp_path / "stack", LOWERS, EVERYTHING).opened() as kernel:
        yield Reader(kernel, monkeypatch)


def test_files_that_follow_are_read_ahead_once_and_in_order(reader: Reader) -> None:
    paths = reader.files("many")
    for count, path in enumerate(paths):
        reader.read(path)
        # Nothing is read ahead that was read already, and not too much.
        assert set(reader.ahead).isdisjoint(paths[:3])
        assert len(reader.ahead) <= max(0, count + 16)
    assert sorted(reader.ahead) == sorted(paths[3:])
    assert max(reader.batches) <= 16


def test_files_read_in_no_order_are_left_alone(reader: Reader) -> None:
    paths = reader.files("many")
    for path in reversed(paths):
        reader.read(path)
    random.Random(1).shuffle(paths)
    for path in paths:
        reader.read(path)
    assert reader.ahead == []


def test_one_file_here_and_there_reads_nothing_ahead(reader: Reader) -> None:
    for directory in ("many", "small0", "small1", "small2", "mixed"):
        for path in reader.files(directory)[:2]:
            reader.read(path)
    assert reader.ahead == []


def test_files_that_are_in_memory_have_nothing_read_ahead(reader: Reader) -> None:
    for path in reader.files("many"):
        reader.read(path, cold=False)
    assert reader.ahead == []


def test_reading_ahead_ends_where_all_was_in_memory_and_begins_again_where_one_was_not(reader: Reader) -> None:
    paths = reader.files("many")
    reader.missing = lambda _: 0
    for path in paths[:100]:
        reader.read(path, cold=path == paths[0])
    assert len(reader.batches) == 1
    reader.missing = lambda count: count
    reader.read(paths[100], cold=True)
    for path in paths[101:]:
        reader.read(path, cold=False)
    assert len(reader.batches) > 5


def test_a_file_may_be_left_out(reader: Reader) -> None:
    paths = reader.files("many")
    for path in paths[::3]:
        reader.read(path)
    assert len(reader.ahead) > 150


def test_only_files_are_read_ahead(reader: Reader) -> None:
    for path in reader.files("mixed"):
        reader.read(path)
    assert sorted(reader.ahead) == sorted(reader.files("mixed")[3:])


def test_after_directories_in_order_the_next_is_read_ahead_from_its_first_file_on(reader: Reader) -> None:
    for path in reader.files("small0"):
        reader.read(path)
    reader.ahead.clear()
    reader.read(reader.files("small1")[0])
    assert reader.ahead == reader.files("small1")[1:]
    # One that isn't begun at its beginning is another way of reading.
    reader.ahead.clear()
    reader.read(reader.files("small2")[3])
    reader.read(reader.files("small3")[0])
    assert reader.ahead == []


def test_a_bounded_number_of_steps_is_under_way(reader: Reader) -> None:
    reader.keeps_answers = True
    for path in reader.files("many"):
        reader.read(path)
    assert len(reader.unanswered) == 2
    for answer in reader.unanswered:
        answer()
    reader.keeps_answers = False
    for path in reader.files("mixed"):
        reader.read(path)
    assert len(reader.batches) > 2


def test_few_directories_are_remembered(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "_DIRECTORIES", 2)
    for directory in ("many", "small0", "small1", "small2", "mixed"):
        for path in reader.files(directory):
            reader.read(path)
    assert len(reader.prefetch._readings) == 2
    assert set(reader.files("mixed")[3:]) <= set(reader.ahead)


def test_a_directory_in_which_reading_goes_on_is_not_forgotten(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "_DIRECTORIES", 2)
    paths = reader.files("many")
    for path in paths[:20]:
        reader.read(path)
        reader.read(reader.files(f"small{paths.index(path) % 4}")[2])
    assert set(paths[3:20]) <= set(reader.ahead)


def test_files_may_come_and_go_meanwhile(reader: Reader) -> None:
    paths = reader.files("many")
    for path in paths[:50]:
        reader.read(path)
    kernel = reader._kernel
    for path in paths[50:70]:
        kernel.unlink(path)
    kernel.rename(paths[0], "many/renamed")
    kernel.create("many/fresh")
    for path in reader.files("many")[51:]:
        reader.read(path)
    assert set(paths[90:]) <= set(reader.ahead)


@pytest.mark.parametrize("wanted", [True, False])
def test_reading_a_file_reads_others_ahead_only_where_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, wanted: bool
) -> None:
    def not_in_memory(*_: object) -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with Stack(tmp_path / "stack", LOWERS, Settings(prefetch=wanted)).opened() as kernel:
        reader = Reader(kernel, monkeypatch)
        monkeypatch.setattr(os, "preadv", not_in_memory)
        for path in reader.files("many"):
            assert run(kernel.union.read(kernel.number(path), 0, 4096)) == b"x"
        assert (len(reader.ahead) > 150) == wanted
