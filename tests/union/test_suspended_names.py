"""Renames and links that wait for a copy-up, and what becomes of their names meanwhile.

The kernel keeps some of it from happening by its locks; the union doesn't rely on them.
"""

from pathlib import Path

import pytest

from tests.union.copying import LOWER, seen_again, writing
from tests.unions import EVERYTHING, Kernel, Stack, UnderWay
from unionfs.linux.rename import RENAME_EXCHANGE
from unionfs.union.table import ROOT
from unionfs.union.union import Settings

pytestmark = pytest.mark.usefixtures("nothing_at_hand")


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [LOWER], EVERYTHING)


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


def test_a_file_replaced_meanwhile_is_not_copied_up(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.union._writers.copy_up._metacopy = False  # type: ignore[union-attr] # what a mount with metacopy=off has
        parent = kernel.number("d")
        one = UnderWay(kernel.union.rename(parent, b"f", parent, b"other", 0))
        back = UnderWay(kernel.union.rename(parent, b"other", parent, b"f", 0))
        one.finish()
        back.finish()
        assert seen_again(stack, kernel)["d/f"] == b"content"


@pytest.mark.parametrize("lost", ["moved", "removed"])
def test_a_directory_that_the_file_left_meanwhile_is_not_synced(tmp_path: Path, lost: str) -> None:
    stack = Stack(tmp_path / "stack", settings=Settings())
    with stack.opened() as kernel:
        kernel.create("f")
        for directory in ("a", "b"):
            kernel.mkdir(directory)
            kernel.link("f", f"{directory}/f")
        syncing = UnderWay(kernel.union.fsync(kernel.number("f"), content_only=False))
        for directory in ("a", "b"):
            kernel.unlink(f"{directory}/f")
            kernel.forget(kernel.number(directory))
            kernel.rename(directory, f"new {directory}") if lost == "moved" else kernel.rmdir(directory)
        syncing.finish()
        assert kernel.read("f") == b""
