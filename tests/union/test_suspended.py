"""What comes in while a file is being copied up: changes of it and of its names wait, everything else goes on.

An operation is stopped at its blocking step, as it is while a worker copies, and others are started meanwhile.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.stacks import Directory, File, HardLink
from tests.unions import EVERYTHING, Kernel, Stack, UnderWay, open_descriptors
from unionfs.linux.rename import RENAME_EXCHANGE
from unionfs.union.step import Operation, run
from unionfs.union.table import ROOT
from unionfs.union.union import Change

LOWER = {
    "d/f": File(b"content", mode=0o640),
    "d/other": File(b"other"),
    "linked/x": File(b"linked"),
    "linked/y": HardLink("linked/x"),
    "empty": Directory(),
}


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [LOWER], EVERYTHING)


def writing(kernel: Kernel, path: str, content: bytes = b"C") -> UnderWay:
    """Start to write, and stop at the copying."""
    return UnderWay(kernel.union.write(kernel.number(path), 0, content, keep_set_id=True))


def metacopied(kernel: Kernel, path: str) -> UnderWay:
    """Start to write to a file whose metadata are in the upper already."""
    kernel.change(path, mode=0o640)
    return writing(kernel, path)


STARTS = [writing, metacopied]


def seen_again(stack: Stack, kernel: Kernel) -> dict[str, bytes]:
    """Give the content of every file, which the next session shows too."""
    tree = kernel.tree()
    kernel.forget_everything()
    assert stack.staged() == []
    assert len(kernel.union.nodes.table) == 1
    kernel.union.nodes.root.contents = None
    again = kernel.tree()
    assert again == tree
    return {path: shown.content for path, shown in tree.items() if shown.mode >> 12 == 0o10}


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


def renaming(kernel: Kernel, path: str, new: str, flags: int = 0) -> UnderWay:
    """Start to rename a file of the lower with nothing of it in the upper, and stop at the copying."""
    kernel.union._writers.copy_up._metacopy = False  # type: ignore[union-attr] # what a mount with metacopy=off has
    operation = UnderWay(kernel.union.rename(*kernel.place(path), *kernel.place(new), flags))
    assert not operation.done
    return operation


def test_a_file_made_at_the_target_meanwhile_is_replaced(stack: Stack) -> None:
    with stack.opened() as kernel:
        moving = renaming(kernel, "d/f", "target")
        number = kernel.create("target").ino
        kernel.write_number(number, b"meanwhile")
        moving.finish()
        assert kernel.read("target") == b"content"
        assert kernel.number("target") != number
        assert kernel.read_number(number) == b"meanwhile"
        assert kernel.union.getattr(number).nlink == 0
        assert seen_again(stack, kernel)["target"] == b"content"


def test_a_directory_made_at_the_target_meanwhile_is_not_replaced(stack: Stack) -> None:
    with stack.opened() as kernel:
        moving = renaming(kernel, "d/f", "target")
        kernel.mkdir("target")
        with pytest.raises(IsADirectoryError):
            moving.finish()
        assert seen_again(stack, kernel)["d/f"] == b"content"


def test_a_target_removed_meanwhile_is_no_hindrance(stack: Stack) -> None:
    with stack.opened() as kernel:
        moving = renaming(kernel, "d/f", "d/other")
        kernel.unlink("d/other")
        moving.finish()
        assert seen_again(stack, kernel)["d/other"] == b"content"


def test_a_directory_of_the_target_removed_meanwhile_ends_the_rename(stack: Stack) -> None:
    with stack.opened() as kernel:
        moving = renaming(kernel, "d/f", "empty/f")
        kernel.rmdir("empty")
        kernel.mkdir("empty")
        with pytest.raises(FileNotFoundError):
            moving.finish()
        assert kernel.names("empty") == []
        assert seen_again(stack, kernel)["d/f"] == b"content"


def test_both_directories_move_meanwhile(stack: Stack) -> None:
    with stack.opened() as kernel:
        moving = renaming(kernel, "d/f", "empty/f")
        kernel.rename("d", "e")
        kernel.rename("empty", "filled")
        moving.finish()
        assert seen_again(stack, kernel)["filled/f"] == b"content"
    with stack.opened() as kernel:
        assert kernel.names("e") == ["other"]
        assert kernel.read("filled/f") == b"content"


def test_of_two_renames_of_a_name_one_fails(stack: Stack) -> None:
    with stack.opened() as kernel:
        moving = [renaming(kernel, "d/f", "one"), renaming(kernel, "d/f", "two")]
        moving[0].finish()
        with pytest.raises(FileNotFoundError):
            moving[1].finish()
        found = seen_again(stack, kernel)
        assert found["one"] == b"content"
        assert not {"d/f", "two"} & set(found)


def test_an_exchange_of_two_files_copies_both_first(stack: Stack) -> None:
    with stack.opened() as kernel:
        swapping = renaming(kernel, "d/f", "d/other", RENAME_EXCHANGE)
        removing = UnderWay(kernel.union.unlink(*kernel.place("d/f")))
        assert removing.waits()
        swapping.finish()
        removing.finish()
        assert seen_again(stack, kernel)["d/other"] == b"content"


def linking(kernel: Kernel, path: str, new: str) -> UnderWay:
    kernel.union._writers.copy_up._metacopy = False  # type: ignore[union-attr] # what a mount with metacopy=off has
    operation = UnderWay(kernel.union.link(kernel.number(path), *kernel.place(new)))
    assert not operation.done
    return operation


def test_a_name_made_meanwhile_is_not_linked_over(stack: Stack) -> None:
    with stack.opened() as kernel:
        giving = linking(kernel, "d/f", "new")
        kernel.create("new")
        with pytest.raises(FileExistsError):
            giving.finish()
        assert seen_again(stack, kernel)["new"] == b""


def test_a_directory_removed_meanwhile_takes_no_link(stack: Stack) -> None:
    with stack.opened() as kernel:
        giving = linking(kernel, "d/f", "empty/new")
        kernel.rmdir("empty")
        with pytest.raises(FileNotFoundError):
            giving.finish()


def test_a_file_whose_last_name_went_meanwhile_is_not_linked(stack: Stack) -> None:
    with stack.opened() as kernel:
        copying = writing(kernel, "d/f")
        removing = UnderWay(kernel.union.unlink(*kernel.place("d/f")))
        giving = UnderWay(kernel.union.link(kernel.number("d/f"), ROOT, b"new"))
        assert giving.waits()
        copying.finish()
        removing.finish()
        with pytest.raises(FileNotFoundError):
            giving.finish()
        assert "new" not in seen_again(stack, kernel)


def test_a_metacopy_is_linked_only_where_nothing_came_to_stand_meanwhile(stack: Stack) -> None:
    """Its path is too long for a redirect, so that its content is copied between the check and the link."""
    long = "/".join(["n" * 100] * 3)
    for part in (long[:100], long[:201], long):
        (stack.lower() / part).mkdir()
    (stack.lower() / long / "f").write_bytes(b"content")
    with stack.opened() as kernel:
        kernel.change(f"{long}/f", mode=0o600)
        giving = UnderWay(kernel.union.link(kernel.number(f"{long}/f"), ROOT, b"new"))
        assert not giving.done
        kernel.create("new")
        with pytest.raises(FileExistsError):
            giving.finish()


def test_sixteen_writers_of_one_file_copy_it_once_and_lose_nothing(stack: Stack) -> None:
    with stack.opened() as kernel:
        number = kernel.number("d/f")
        writers = [UnderWay(kernel.union.write(number, n, b"%x" % n, keep_set_id=True)) for n in range(16)]
        assert [writer.waits() for writer in writers] == [False] + [True] * 15
        for writer in writers:
            writer.finish()
        assert kernel.read("d/f") == b"0123456789abcdef"
        run(kernel.union.fsync(number, content_only=False))
