"""What comes in while a file is being copied up: changes of it and of its names wait, everything else goes on.

An operation is stopped at its blocking step, as it is while a worker copies, and others are started meanwhile.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.stacks import File, HardLink
from tests.union.copying import LOWER, STARTS, seen_again, writing
from tests.unions import EVERYTHING, Kernel, Stack, UnderWay, open_descriptors
from unionfs.linux.rename import RENAME_EXCHANGE
from unionfs.union.step import Operation, run
from unionfs.union.table import ROOT
from unionfs.union.union import Change

pytestmark = pytest.mark.usefixtures("nothing_at_hand")


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [LOWER], EVERYTHING)


@pytest.mark.parametrize("start", STARTS)
def test_readers_go_on_from_the_old_place(stack: Stack, start: Callable[[Kernel, str], UnderWay]) -> None:
    with stack.opened() as kernel:
        copying = start(kernel, "d/f")
        shown = kernel.stat("d/f")
        assert kernel.read("d/f") == b"content"
        assert (shown.size, shown.mode & 0o7777, shown.nlink) == (7, 0o640, 1)
        assert kernel.names("d") == ["f", "other"] or kernel.names("d") == ["other", "f"]
        assert kernel.xattrs("d/f") == {}
        assert kernel.lookup("d/f") is not None
        copying.finish()
        assert kernel.read("d/f") == b"Content"
        assert kernel.stat("d/f").ino == shown.ino


def write_again(kernel: Kernel, number: int) -> Operation[Any]:
    return kernel.union.write(number, 6, b"T!", keep_set_id=True)


def truncate(kernel: Kernel, number: int) -> Operation[Any]:
    return kernel.union.setattr(number, Change(size=3), keep_set_id=True)


def chmod(kernel: Kernel, number: int) -> Operation[Any]:
    return kernel.union.setattr(number, Change(mode=0o600), keep_set_id=True)


def set_xattr(kernel: Kernel, number: int) -> Operation[Any]:
    return kernel.union.setxattr(number, b"user.a", b"1", 0)


def link(kernel: Kernel, number: int) -> Operation[Any]:
    return kernel.union.link(number, ROOT, b"second")


def open_again(kernel: Kernel, number: int) -> Operation[Any]:
    return kernel.union.open(number, os.O_WRONLY)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    ("change", "content"),
    [
        (write_again, b"ContenT!"),
        (truncate, b"Con"),
        (chmod, b"Content"),
        (set_xattr, b"Content"),
        (link, b"Content"),
        (open_again, b"Content"),
    ],
)
def test_a_change_of_the_file_waits(
    stack: Stack,
    start: Callable[[Kernel, str], UnderWay],
    change: Callable[[Kernel, int], Operation[Any]],
    content: bytes,
) -> None:
    with stack.opened() as kernel:
        copying = start(kernel, "d/f")
        waiting = UnderWay(change(kernel, kernel.number("d/f")))
        assert waiting.waits()
        copying.finish()
        assert not waiting.waits()
        waiting.finish()
        assert kernel.read("d/f") == content
    with stack.opened() as kernel:
        assert kernel.read("d/f") == content


@pytest.mark.parametrize("start", STARTS)
def test_the_name_of_the_file_is_removed_after_it(stack: Stack, start: Callable[[Kernel, str], UnderWay]) -> None:
    with stack.opened() as kernel:
        copying = start(kernel, "d/f")
        number = kernel.number("d/f")
        removing = UnderWay(kernel.union.unlink(*kernel.place("d/f")))
        assert removing.waits()
        copying.finish()
        removing.finish()
        assert kernel.lookup("d/f") is None
        assert kernel.read_number(number) == b"Content"
        assert kernel.union.getattr(number).nlink == 0
        assert "d/f" not in seen_again(stack, kernel)


@pytest.mark.parametrize("start", STARTS)
def test_of_two_removals_of_a_name_one_fails(stack: Stack, start: Callable[[Kernel, str], UnderWay]) -> None:
    with stack.opened() as kernel:
        copying = start(kernel, "d/f")
        removing = [UnderWay(kernel.union.unlink(*kernel.place("d/f"))) for _ in range(2)]
        copying.finish()
        removing[0].finish()
        kernel.create("d/f")
        kernel.unlink("d/f")
        with pytest.raises(FileNotFoundError):
            removing[1].finish()
        assert "d/f" not in seen_again(stack, kernel)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("flags", [0, RENAME_EXCHANGE])
def test_the_file_is_renamed_after_it(stack: Stack, start: Callable[[Kernel, str], UnderWay], flags: int) -> None:
    with stack.opened() as kernel:
        copying = start(kernel, "d/f")
        renaming = UnderWay(kernel.union.rename(*kernel.place("d/f"), *kernel.place("d/other"), flags))
        assert renaming.waits()
        copying.finish()
        renaming.finish()
        expected = {"d/other": b"Content", "linked/x": b"linked", "linked/y": b"linked"}
        assert seen_again(stack, kernel) == expected | ({"d/f": b"other"} if flags else {})


@pytest.mark.parametrize("start", STARTS)
def test_the_file_is_replaced_after_it(stack: Stack, start: Callable[[Kernel, str], UnderWay]) -> None:
    with stack.opened() as kernel:
        copying = start(kernel, "d/f")
        number = kernel.number("d/f")
        renaming = UnderWay(kernel.union.rename(*kernel.place("d/other"), *kernel.place("d/f"), 0))
        assert renaming.waits()
        copying.finish()
        renaming.finish()
        assert kernel.read("d/f") == b"other"
        assert kernel.read_number(number) == b"Content"
        assert seen_again(stack, kernel)["d/f"] == b"other"


@pytest.mark.parametrize("start", STARTS)
def test_a_directory_above_moves_meanwhile(stack: Stack, start: Callable[[Kernel, str], UnderWay]) -> None:
    with stack.opened() as kernel:
        copying = start(kernel, "d/f")
        moving = UnderWay(kernel.union.rename(*kernel.place("d"), *kernel.place("moved"), 0))
        if not moving.waits():
            moving.finish()
            kernel.mkdir("d")
            kernel.create("d/f")
        copying.finish()
        if not moving.done:
            moving.finish()
        assert kernel.read("moved/f") == b"Content"
        assert seen_again(stack, kernel)["moved/f"] == b"Content"
    with stack.opened() as kernel:
        assert kernel.read("moved/f") == b"Content"


def test_another_name_of_the_file_is_changed_after_it(stack: Stack) -> None:
    with stack.opened() as kernel:
        copying = writing(kernel, "linked/x", b"L")
        waiting: list[UnderWay] = [
            UnderWay(kernel.union.write(kernel.number("linked/y"), 1, b"I", keep_set_id=True)),
            UnderWay(kernel.union.unlink(*kernel.place("linked/y"))),
            UnderWay(kernel.union.rename(*kernel.place("linked/x"), *kernel.place("new"), 0)),
        ]
        assert all(operation.waits() for operation in waiting)
        copying.finish()
        for operation in waiting:
            operation.finish()
        assert kernel.stat("new").nlink == 1
        assert seen_again(stack, kernel) == {"d/f": b"content", "d/other": b"other", "new": b"LInked"}
    with stack.opened() as kernel:
        assert kernel.read("new") == b"LInked"
        assert kernel.stat("new").nlink == 1


def test_a_name_found_meanwhile_belongs_to_the_same_file(stack: Stack) -> None:
    with stack.opened() as kernel:
        copying = writing(kernel, "linked/x", b"L")
        assert kernel.number("linked/y") == kernel.number("linked/x")
        copying.finish()
        assert kernel.read("linked/y") == b"Linked"


def test_a_name_found_meanwhile_of_a_file_that_lost_the_known_one_is_the_one_it_gets(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [{"a/x": File(b"linked"), "b/y": HardLink("a/x")}], EVERYTHING)
    with stack.opened() as kernel:
        number = kernel.number("a/x")
        kernel.unlink("a/x")
        copying = UnderWay(kernel.union.write(number, 0, b"L", keep_set_id=True))
        assert kernel.number("b/y") == number
        copying.finish()
        assert kernel.read("b/y") == b"Linked"
        assert kernel.stat("b/y").nlink == 1
        assert (stack.upper / "b/y").read_bytes() == b"Linked"
        assert seen_again(stack, kernel) == {"b/y": b"Linked"}


@pytest.mark.parametrize("start", STARTS)
def test_a_failure_lets_those_who_wait_go_on(stack: Stack, start: Callable[[Kernel, str], UnderWay]) -> None:
    with stack.opened() as kernel:
        copying = start(kernel, "d/f")
        waiting = UnderWay(kernel.union.unlink(*kernel.place("d/f")))
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            copying.fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        number = kernel.number("d/f")
        assert kernel.read_number(number) == b"content"
        waiting.finish()
        assert kernel.read_number(number) == b"content"
        assert "d/f" not in seen_again(stack, kernel)


@pytest.mark.parametrize("start", STARTS)
def test_an_operation_given_up_leaves_nothing_open_or_staged(
    stack: Stack, start: Callable[[Kernel, str], UnderWay]
) -> None:
    with stack.opened() as kernel:
        kernel.change("d/f", mode=0o640)
        kernel.read("d/f")
        staged, before = stack.staged(), open_descriptors()
        copying = start(kernel, "d/f")
        waiting = UnderWay(kernel.union.unlink(*kernel.place("d/f")))
        copying.give_up()
        assert stack.staged() == staged
        assert {line.split()[0] for line in open_descriptors()} == {line.split()[0] for line in before}
        waiting.finish()
        assert kernel.lookup("d/f") is None


def test_sixteen_writers_of_one_file_copy_it_once_and_lose_nothing(stack: Stack) -> None:
    with stack.opened() as kernel:
        number = kernel.number("d/f")
        writers = [UnderWay(kernel.union.write(number, n, b"%x" % n, keep_set_id=True)) for n in range(16)]
        assert [writer.waits() for writer in writers] == [False] + [True] * 15
        for writer in writers:
            writer.finish()
        assert kernel.read("d/f") == b"0123456789abcdef"
        run(kernel.union.fsync(number, content_only=False))
