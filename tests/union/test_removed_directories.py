"""Directories that were removed while a program still has them open (POSIX: they live on, empty and without a name)."""

from pathlib import Path

import pytest

from tests.stacks import Directory, File
from tests.unions import EVERYTHING, Kernel, Stack
from unionfs.union.step import run


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    lower = {"d": Directory(mode=0o750), "old/f": File(b"low")}
    return Stack(tmp_path / "stack", [lower], EVERYTHING)


def removed(kernel: Kernel, *, copied_up: bool) -> int:
    """Remove the directory ``d``, which stays open, and give its number."""
    if copied_up:
        kernel.set_xattr("d", b"user.mine", b"1")
    number = kernel.number("d")
    kernel.rmdir("d")
    return number


@pytest.mark.parametrize("copied_up", [False, True])
def test_an_attribute_set_on_a_removed_directory_does_not_reach_its_successor(stack: Stack, *, copied_up: bool) -> None:
    with stack.opened() as kernel:
        number = removed(kernel, copied_up=copied_up)
        kernel.mkdir("d")
        with pytest.raises(FileNotFoundError):
            run(kernel.union.setxattr(number, b"user.stray", b"x", 0))
        assert kernel.xattrs("d") == {}


@pytest.mark.parametrize("copied_up", [False, True])
def test_attributes_changed_on_a_removed_directory_are_its_own(stack: Stack, *, copied_up: bool) -> None:
    with stack.opened() as kernel:
        number = removed(kernel, copied_up=copied_up)
        kernel.mkdir("d", 0o711)
        changed = kernel.change_number(number, mode=0o700, uid=5, gid=6, mtime_ns=7)
        assert (changed.mode & 0o7777, changed.uid, changed.gid, changed.mtime_ns) == (0o700, 5, 6, 7)
        assert kernel.stat("d").mode & 0o7777 == 0o711


@pytest.mark.parametrize("copied_up", [False, True])
def test_a_removed_directory_lists_nothing_and_takes_nothing(stack: Stack, *, copied_up: bool) -> None:
    with stack.opened() as kernel:
        number = removed(kernel, copied_up=copied_up)
        kernel.mkdir("d")
        kernel.create("d/new")
        assert list(kernel.union.entries(number, 0)) == []
        assert kernel.union.lookup(number, b"new") is None
        assert kernel.union.getattr(number).nlink == 0
        assert kernel.union.listxattr(number, lambda: True) == []
        kernel.create("file")
        for attempt in (
            lambda: kernel.union.create(number, b"x", 0o100644, kernel.root_caller),
            lambda: run(kernel.union.link(kernel.number("file"), number, b"x")),
            lambda: run(kernel.union.unlink(number, b"new")),
            lambda: kernel.union.rmdir(number, b"new"),
            lambda: run(kernel.union.rename(1, b"file", number, b"x", 0)),
            lambda: run(kernel.union.rename(number, b"new", 1, b"x", 0)),
        ):
            with pytest.raises(FileNotFoundError):
                attempt()
            assert kernel.names("d") == ["new"]
        run(kernel.union.fsyncdir(number))


def test_a_removed_directory_is_gone_from_the_table_when_it_is_forgotten(stack: Stack) -> None:
    with stack.opened() as kernel:
        removed(kernel, copied_up=True)
        kernel.mkdir("d")
        kernel.forget_everything()
        assert len(kernel.union.nodes.table) == 1
        assert kernel.names("d") == []


def test_a_directory_replaced_by_rename_is_a_removed_one(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.mkdir("new", 0o700)
        kernel.create("new/f")
        number = kernel.number("d")
        kernel.rename("new", "d")
        assert list(kernel.union.entries(number, 0)) == []
        assert kernel.union.getattr(number).mode & 0o7777 == 0o750
        assert kernel.union.getattr(number).nlink == 0
        assert kernel.names("d") == ["f"]


@pytest.mark.parametrize("by", ["rmdir", "rename"])
def test_the_number_of_a_removed_directory_is_not_given_away_while_it_is_known(stack: Stack, by: str) -> None:
    """What came by its inode on disk would have another number here, until that directory is forgotten."""
    with stack.opened() as kernel:
        for turn in range(10):
            kernel.mkdir("known")
            kernel.mkdir("over")
            if by == "rename":
                kernel.rename("over", "known")
            else:
                kernel.rmdir("over")
            kernel.rmdir("known")
            made = kernel.mkdir(f"made{turn}")
            assert made.ino == (stack.upper / f"made{turn}").stat().st_ino
