"""Directories of a slow layer are read ahead in a step, once for all who wait; of a quick one they are read at once."""

import errno
from pathlib import Path
from typing import Any

import pytest

from tests.stacks import File
from tests.unions import EVERYTHING, Kernel, Stack, UnderWay
from unionfs.union import loading
from unionfs.union.inode import DirectoryInode
from unionfs.union.loading import Loading
from unionfs.union.step import Operation
from unionfs.union.table import ROOT

LOWERS = [
    {"d/f": File(b"content"), "d/g": File(b"g"), "d/sub/x": File()},
    {"d/h": File(b"h"), "d/sub/y": File(), "other/f": File()},
]


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", LOWERS, EVERYTHING)


def set_pace(kernel: Kernel, *, slow: bool) -> None:
    root = kernel.union.nodes.root
    for directory in (root.upper, *root.lowers):
        assert directory is not None
        for _ in range(8):
            directory.tree.pace.note(1.0 if slow else 0.0, 0)


def are_slow(kernel: Kernel) -> list[bool]:
    """Tell of the upper and of each lower whether it is slow."""
    root = kernel.union.nodes.root
    assert root.upper is not None
    return [directory.tree.pace.is_slow for directory in (root.upper, *root.lowers)]


def begun(operation: Operation[None] | None) -> UnderWay:
    assert operation is not None
    return UnderWay(operation)


class Steps:
    """What was read ahead, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[tuple[str, list[bytes], list[bytes]]] = []
        for function in ("read_names", "read_attributes"):
            monkeypatch.setattr(loading, function, self._noting(function, getattr(loading, function)))

    def _noting(self, kind: str, real: Any) -> Any:
        def read(routes: Any, *names: Any) -> Any:
            self.seen.append((kind, [route.path for route in routes], list(*names)))
            return real(routes, *names)

        return read


def directory(kernel: Kernel, path: str) -> DirectoryInode:
    node = kernel.node(path)
    assert isinstance(node, DirectoryInode)
    return node


def test_a_slow_layer_is_read_ahead_before_a_lookup(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch)
    with stack.opened() as kernel:
        number = kernel.number("d")
        set_pace(kernel, slow=True)
        begun(kernel.union.before_lookup(number, b"sub")).finish()
        assert steps.seen == [
            ("read_names", [b"d", b"d"], []),
            ("read_attributes", [b"d", b"d"], [b"sub"]),
        ]
        assert kernel.union.lookup(number, b"sub") is not None
        begun(kernel.union.before_lookup(number, b"h")).finish()
        assert steps.seen[2:] == [("read_attributes", [b"d"], [b"h"])]
        # Neither what is known nor what isn't there has to be read.
        assert kernel.union.before_lookup(number, b"sub") is None
        assert kernel.union.before_lookup(number, b"absent") is None
        assert kernel.union.before_lookup(number, b"..") is None


def test_a_slow_layer_is_read_ahead_before_a_listing(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch)
    with stack.opened() as kernel:
        number = kernel.number("d")
        set_pace(kernel, slow=True)
        begun(kernel.union.before_listing(number, 0, attributes=True)).finish()
        assert steps.seen[0] == ("read_names", [b"d", b"d"], [])
        assert sorted(name for _, _, names in steps.seen[1:] for name in names) == [b"f", b"g", b"h", b"sub"]
        assert sorted(kernel.names("d")) == ["f", "g", "h", "sub"]
        assert kernel.union.before_listing(number, 2, attributes=True) is None


def test_names_alone_need_no_attributes(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch)
    with stack.opened() as kernel:
        number = kernel.number("d")
        set_pace(kernel, slow=True)
        begun(kernel.union.before_listing(number, 0, attributes=False)).finish()
        assert [kind for kind, _, _ in steps.seen] == ["read_names"]
        assert kernel.union.before_listing(number, 0, attributes=False) is None


def test_quick_layers_are_read_at_once(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch)
    with stack.opened() as kernel:
        set_pace(kernel, slow=False)
        assert kernel.union.before_lookup(ROOT, b"d") is None
        number = kernel.number("d")
        assert kernel.union.before_listing(number, 0, attributes=True) is None
        assert directory(kernel, "d").contents is not None
        assert not steps.seen


def test_one_reading_serves_all_who_wait(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch)
    with stack.opened() as kernel:
        number = kernel.number("d")
        set_pace(kernel, slow=True)
        first = begun(kernel.union.before_lookup(number, b"absent"))
        others = [
            begun(kernel.union.before_lookup(number, b"f")),
            begun(kernel.union.before_listing(number, 0, attributes=False)),
        ]
        assert all(other.waits() for other in others)
        first.finish()
        for other in others:
            other.finish()
        assert [kind for kind, _, _ in steps.seen] == ["read_names", "read_attributes"]


def test_who_waited_reads_for_itself_where_the_first_failed(stack: Stack) -> None:
    with stack.opened() as kernel:
        number = kernel.number("d")
        set_pace(kernel, slow=True)
        first = begun(kernel.union.before_lookup(number, b"f"))
        second = begun(kernel.union.before_lookup(number, b"f"))
        with pytest.raises(OSError, match="out of memory"):
            first.fail(OSError(errno.ENOMEM, "out of memory"))
        assert not second.waits()
        second.finish()
        assert kernel.union.lookup(number, b"f") is not None


def test_a_directory_may_be_removed_meanwhile(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.mkdir("empty")
        number = kernel.number("empty")
        set_pace(kernel, slow=True)
        looking = begun(kernel.union.before_lookup(number, b"f"))
        listing = begun(kernel.union.before_listing(number, 0, attributes=True))
        kernel.rmdir("empty")
        looking.finish()
        listing.finish()
        assert kernel.union.lookup(number, b"f") is None
        assert kernel.union.before_lookup(number, b"f") is None
        assert kernel.union.before_listing(number, 0, attributes=True) is None


def test_a_directory_may_be_renamed_meanwhile(stack: Stack) -> None:
    with stack.opened() as kernel:
        number = kernel.number("d")
        set_pace(kernel, slow=True)
        looking = begun(kernel.union.before_lookup(number, b"f"))
        kernel.rename("d", "renamed")
        looking.finish()
        assert kernel.union.lookup(number, b"f") is not None


def test_entries_are_looked_at_a_bounded_number_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_ENTRIES", 10)
    steps = Steps(monkeypatch)
    stack = Stack(tmp_path / "stack", [{f"f{number}": File() for number in range(25)}], EVERYTHING)
    with stack.opened() as kernel:
        set_pace(kernel, slow=True)
        cookie, asked = 2, 0
        while entries := [listed for listed, _ in zip(kernel.union.entries(ROOT, cookie), range(4), strict=False)]:
            first = kernel.union.before_listing(ROOT, cookie, attributes=True)
            if first is not None:
                UnderWay(first).finish()
                asked += 1
            for listed in entries:
                assert listed.node is not None
                listed.node.lookups += 1
            cookie = entries[-1].cookie
        assert asked == 3
        assert all(len(names) <= 10 for _, _, names in steps.seen)


def test_layers_that_took_long_are_slow(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    with stack.opened() as kernel:
        set_pace(kernel, slow=False)
        clock = iter(range(1000))
        monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
        kernel.stat("d/h")
        assert are_slow(kernel) == [False, True, True]


def test_layers_that_were_not_asked_stay_quick(stack: Stack) -> None:
    with stack.opened() as kernel:
        number, other = kernel.node("d/h"), kernel.node("other")
        set_pace(kernel, slow=False)
        waiting = Loading(kernel.union.nodes, prefetch=False)
        waiting.note(other, 1e-6)
        assert are_slow(kernel) == [False, False, False]
        waiting.note(number, 1.0)
        assert are_slow(kernel) == [False, False, True]
