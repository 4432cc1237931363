"""Directories that a walk comes to next are read ahead, where they come from a disk, and none elsewhere."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stacks import File, Layer
from tests.union.test_loading import set_pace
from tests.unions import EVERYTHING, Kernel, Stack
from unionfs.layer.ahead import Route
from unionfs.union import loading, lookahead
from unionfs.union.inode import DirectoryInode
from unionfs.union.lookahead import Lookahead
from unionfs.union.step import Aside, Operation, run
from unionfs.union.table import ROOT
from unionfs.union.union import Settings

TOP: Layer = {f"wide/d{number}/f": File() for number in range(100)} | {"deep/a/b/c/d/f": File(), "both/x/f": File()}
BASE: Layer = {"both/x/g": File(), "both/y/f": File(), "wide/file": File()}


class Walker:
    """Lists directories, and knows what was read ahead of it."""

    def __init__(self, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kernel = kernel
        self.lookahead = Lookahead()
        self.ahead: list[str] = []
        self.batches: list[int] = []
        self.blocks = 8
        self.keeps_answers = False
        self.unanswered: list[Callable[[], None]] = []
        monkeypatch.setattr(lookahead, "read_directories", self._read)

    def _read(self, routes: list[Route]) -> int:
        self.ahead += [os.fsdecode(route.path) for route in routes]
        self.batches.append(len(routes))
        return self.blocks

    def list(self, path: str, *, cold: bool = True) -> list[str]:
        """List a directory, and give the paths of those in it."""
        node = self.kernel.union.nodes.get(self.kernel.number_of(path))
        assert isinstance(node, DirectoryInode)
        self.kernel.union.nodes.contents(node)
        aside = self.lookahead.note(node, cold=cold)
        if aside is not None:
            self._do(aside)
        above = "" if path == "." else f"{path}/"
        return [above + name for name in self.kernel.names(path) if self.kernel.stat(above + name).is_directory]

    def _do(self, aside: Aside) -> None:
        result = aside.step()
        if self.keeps_answers:
            self.unanswered.append(lambda: aside.learn(result))
        else:
            aside.learn(result)

    def walk(self, path: str = ".", *, cold: bool = True) -> Iterator[str]:
        for directory in self.list(path, cold=cold):
            yield directory
            yield from self.walk(directory, cold=cold)


@pytest.fixture
def walker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Walker]:
    with Stack(tmp_path / "stack", [TOP, BASE], EVERYTHING).opened() as kernel:
        yield Walker(kernel, monkeypatch)


def test_a_walk_finds_what_it_comes_to_read_ahead_once_in_each_layer(walker: Walker) -> None:
    seen: list[str] = []
    for directory in walker.walk():
        seen.append(directory)
        assert len(walker.ahead) <= len(seen) + 100
    assert set(seen) == set(walker.ahead)
    assert walker.ahead.count("both/x") == 2
    assert walker.ahead.count("both/y") == 1
    assert all(walker.ahead.count(f"wide/d{number}") == 1 for number in range(100))


def test_only_a_few_directories_are_read_ahead_at_a_time(walker: Walker) -> None:
    walker.list(".")
    walker.list("wide")
    assert len([path for path in walker.ahead if path.startswith("wide/")]) == 40


def test_a_single_listing_reads_nothing_ahead(walker: Walker) -> None:
    for path in ("wide", "both/x", "deep/a/b"):
        walker.list(path)
    assert walker.ahead == []


def test_a_walk_in_memory_reads_nothing_ahead(walker: Walker) -> None:
    assert list(walker.walk(cold=False))
    assert walker.ahead == []


def test_once_all_was_in_memory_nothing_more_is_read_ahead(walker: Walker) -> None:
    walker.list(".")
    walker.blocks = 0
    walker.list("wide", cold=False)
    for number in range(50):
        walker.list(f"wide/d{number}", cold=False)
    assert len(walker.batches) == 1
    walker.list("wide/d50", cold=True)
    assert len(walker.batches) == 2


def test_a_bounded_number_of_steps_is_under_way(walker: Walker) -> None:
    walker.keeps_answers = True
    assert list(walker.walk())
    assert len(walker.unanswered) == 2
    for answer in walker.unanswered:
        answer()
    walker.keeps_answers = False
    walker.list(".")
    walker.list("wide")
    assert len(walker.batches) == 3


def test_few_directories_are_remembered(walker: Walker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookahead, "_DIRECTORIES", 3)
    assert list(walker.walk())
    assert len(walker.lookahead._listed) == 3


def drive(operation: Operation[None] | None) -> bool:
    """Run what comes before a listing, and tell whether there was anything."""
    if operation is not None:
        run(operation)
    return operation is not None


@pytest.mark.parametrize("slow", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
def test_listing_looks_ahead_only_where_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, slow: bool, wanted: bool
) -> None:
    with Stack(tmp_path / "stack", [TOP, BASE], Settings(prefetch=wanted)).opened() as kernel:
        walker = Walker(kernel, monkeypatch)
        wide = kernel.number("wide")
        set_pace(kernel, slow=slow)
        monkeypatch.setattr(loading, "is_from_memory", lambda *_: False)
        drive(kernel.union.before_listing(ROOT, 0, attributes=True))
        # The names of the root are known since the lookup, so that it isn't known to come from a disk.
        assert drive(kernel.union.before_listing(wide, 0, attributes=False)) == (slow or wanted)
        assert ("wide/d1" in walker.ahead or len(walker.ahead) >= 40) == wanted
        before = len(walker.ahead)
        drive(kernel.union.before_listing(wide, 5, attributes=False))
        assert len(walker.ahead) == before


def steps_waited_for(operation: Operation[None] | None) -> int:
    """Run what comes before a listing, and count the steps that it waits for."""
    count = 0

    def counted() -> Operation[None]:
        nonlocal count
        if operation is None:
            return
        for step in operation:
            if isinstance(step, Aside):
                yield step
            else:
                count += 1
                assert callable(step)
                step()
                return

    run(counted())
    return count


def test_a_slow_directory_that_was_read_ahead_is_listed_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stack(tmp_path / "stack", [TOP, BASE], Settings(prefetch=True)).opened() as kernel:
        walker = Walker(kernel, monkeypatch)
        numbers = {path: kernel.number_of(path) for path in ("wide", *(f"wide/d{number}" for number in range(100)))}
        set_pace(kernel, slow=True)
        for number in (ROOT, numbers["wide"]):
            drive(kernel.union.before_listing(number, 0, attributes=True))
        read = next(path for path in numbers if path in walker.ahead)
        unread = next(path for path in numbers if path not in walker.ahead and path != "wide")

        def waits(path: str) -> int:
            return steps_waited_for(kernel.union.before_listing(numbers[path], 0, attributes=True))

        assert [waits(path) for path in (read, unread)] == [0, 1]


def test_a_directory_whose_reading_ahead_failed_is_waited_for(walker: Walker) -> None:
    route = Route.to(walker.kernel.union.nodes.root.lowers[0].child(b"wide"))
    walker.lookahead._learn([route], None)
    assert not walker.lookahead.has_read([route])
    walker.lookahead._learn([route], 3)
    assert walker.lookahead.has_read([route])


def test_what_was_read_ahead_is_known_no_more_once_it_is_forgotten(walker: Walker) -> None:
    walker.list(".")
    walker.list("wide")
    assert walker.ahead
    walker.lookahead.forget()
    node = walker.kernel.node("wide")
    assert isinstance(node, DirectoryInode)
    assert not walker.lookahead.has_read([Route.to(directory) for directory in node.lowers])
    walker.ahead.clear()
    walker.list("wide/d5")
    assert walker.ahead == []


def test_few_directories_are_known_to_be_read(walker: Walker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookahead, "_KNOWN", 2)
    root = walker.kernel.union.nodes.root.lowers[0]
    routes = [Route.to(root.child(b"%d" % number)) for number in range(3)]
    walker.lookahead._learn(routes, 1)
    assert [walker.lookahead.has_read([route]) for route in routes] == [False, True, True]
