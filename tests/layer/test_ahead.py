"""Reading ahead on another thread: it opens for itself, follows no link, and what can't be read is passed over."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unions import open_descriptors
from unionfs.layer.ahead import Route, read_attributes, read_names
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import Directory, Tree
from unionfs.layer.lower import open_lower

DEPTH = 300


@pytest.fixture(params=[True, False], ids=["confined", "unconfined"])
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Directory]:
    (tmp_path / "lower/a/b").mkdir(parents=True)
    for name in ("one", "two", "three"):
        (tmp_path / "lower/a/b" / name).write_bytes(b"")
    (tmp_path / "lower/a/b/link").symlink_to("/etc")
    (tmp_path / "lower/link").symlink_to("a")
    opened = open_lower(os.fsencode(tmp_path / "lower"), 0, Descriptors(32))
    tree = Tree(opened.tree.descriptors, opened.tree.device, position=0, confined=request.param)
    yield Directory(tree, None, b"", opened.root_fd)
    os.close(opened.root_fd)


def test_names_are_counted_and_timed_for_their_layer(root: Directory) -> None:
    before = open_descriptors()
    deep = root.child(b"a").child(b"b")
    taken = read_names([Route.to(root), Route.to(deep)])
    assert [(each.pace, each.names) for each in taken] == [(root.tree.pace, 2), (root.tree.pace, 4)]
    assert all(each.seconds > 0 for each in taken)
    assert open_descriptors() == before
    assert len(root.tree.descriptors) == 0


def test_entries_of_any_kind_are_looked_at(root: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    stat = os.stat

    def noting(path: bytes, **more: object) -> os.stat_result:
        seen.append(path)
        return stat(path, **more)  # type: ignore[arg-type] # passed on as they came

    route = Route.to(root)
    monkeypatch.setattr(os, "stat", noting)
    (taken,) = read_attributes([route], [b"a", b"link", b"absent"])
    assert taken.names == 3
    # In a directory, the marker that would make it opaque as well.
    assert seen == [b"a", b".wh..wh..opq", b"link", b"absent"]


def test_what_is_not_there_is_passed_over(root: Directory) -> None:
    before = open_descriptors()
    gone = root.child(b"gone").child(b"b")
    assert [each.names for each in read_names([Route.to(gone)])] == [0]
    assert [each.names for each in read_attributes([Route.to(gone)], [b"x"])] == [0]
    assert open_descriptors() == before


def test_no_symbolic_link_is_followed(root: Directory) -> None:
    through = [root.child(b"link"), root.child(b"link").child(b"b"), root.child(b"a").child(b"b").child(b"link")]
    assert [each.names for each in read_names([Route.to(each) for each in through])] == [0, 0, 0]


def test_a_path_that_is_too_long_is_passed_over(root: Directory) -> None:
    deep = root
    for _ in range(DEPTH):
        deep = deep.child(b"n" * 100)
    assert [each.names for each in read_names([Route.to(deep)])] == [0]
