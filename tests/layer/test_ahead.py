"""Reading ahead on another thread: it opens for itself, follows no link, and what can't be read is passed over."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unions import open_descriptors
from unionfs.layer.ahead import Route, read_attributes, read_content, read_directories, read_names
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


class Advice:
    """What the kernel was asked to read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.cold = True
        monkeypatch.setattr(os, "posix_fadvise", self._advise)
        monkeypatch.setattr(os, "preadv", self._preadv)

    def _advise(self, _fd: int, offset: int, size: int, advice: int) -> None:
        assert (offset, advice) == (0, os.POSIX_FADV_WILLNEED)
        self.sizes.append(size)

    def _preadv(self, *_: object) -> int:
        if self.cold:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return 1


@pytest.fixture
def advice(monkeypatch: pytest.MonkeyPatch) -> Advice:
    return Advice(monkeypatch)


def test_the_beginning_of_files_is_read_as_far_as_the_limit_goes(
    root: Directory, advice: Advice, tmp_path: Path
) -> None:
    directory = tmp_path / "lower/a/b"
    (directory / "one").write_bytes(bytes(3000))
    (directory / "two").write_bytes(bytes(1 << 20))
    (directory / "three").write_bytes(bytes(10))
    route = Route.to(root.child(b"a").child(b"b"))
    assert read_content([(route, [b"one", b"two", b"three"])], 1 << 20) == 3
    assert advice.sizes == [3000, 512 << 10, 10]
    advice.sizes.clear()
    assert read_content([(route, [b"one", b"two", b"three"])], 3001) == 2
    assert advice.sizes == [3000, 512 << 10]


def test_what_is_in_memory_is_not_read_again(root: Directory, advice: Advice, tmp_path: Path) -> None:
    (tmp_path / "lower/a/b/one").write_bytes(bytes(3000))
    advice.cold = False
    assert read_content([(Route.to(root.child(b"a").child(b"b")), [b"one"])], 1 << 20) == 0
    assert advice.sizes == []


def test_only_the_content_of_regular_files_is_read(root: Directory, advice: Advice, tmp_path: Path) -> None:
    before = open_descriptors()
    directory = tmp_path / "lower/a/b"
    os.mkfifo(directory / "fifo")
    (directory / "file").symlink_to("three")
    (directory / "three").write_bytes(b"x")
    names = [b"fifo", b"file", b"link", b"absent", b"one", b"."]
    assert read_content([(Route.to(root.child(b"gone")), [b"x"])], 100) == 0
    assert read_content([(Route.to(root.child(b"a").child(b"b")), names)], 100) == 0
    assert advice.sizes == []
    assert open_descriptors() == before


def test_of_inodes_that_share_a_block_one_is_looked_at(root: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    stat = os.stat

    def noting(path: bytes, **more: object) -> os.stat_result:
        found = stat(path, **more)  # type: ignore[arg-type] # passed on as they came
        seen.append(found.st_ino // 16)
        return found

    deep = root.child(b"a").child(b"b")
    inodes = {entry.inode // 16 for entry in deep.scan().values()}
    before = open_descriptors()
    monkeypatch.setattr(os, "stat", noting)
    blocks = read_directories([Route.to(root.child(b"gone")), Route.to(deep), Route.to(root.child(b"link"))])
    assert seen == sorted(inodes)
    assert blocks == 0
    assert open_descriptors() == before
