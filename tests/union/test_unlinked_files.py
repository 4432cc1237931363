"""Files without a name that a program still has open (POSIX unlink: they live on until the last close).

One of a lower is read where it is; one of the upper is parked in the workdir until the kernel forgets it.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stacks import File, Symlink
from tests.unions import EVERYTHING, Kernel, Stack
from unionfs.union.step import run
from unionfs.union.table import ROOT

LOWER = {"low": File(b"low content", mode=0o640), "target": File(b"target"), "link": Symlink("somewhere")}


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [LOWER], EVERYTHING)


def of_the_lower(_: Kernel) -> None:
    """Leave ``low`` where it is."""


def of_the_upper(kernel: Kernel) -> None:
    kernel.rename("low", "aside")
    kernel.create("low", 0o100640)
    kernel.write("low", b"low content")


def copied_up(kernel: Kernel) -> None:
    kernel.write("low", b"low content")


def metacopied(kernel: Kernel) -> None:
    kernel.change("low", mode=0o640)


ORIGINS = [of_the_lower, of_the_upper, copied_up, metacopied]


def unlinked(kernel: Kernel) -> None:
    kernel.unlink("low")


def replaced(kernel: Kernel) -> None:
    kernel.rename("target", "low")


@pytest.mark.parametrize("lose", [unlinked, replaced])
@pytest.mark.parametrize("prepare", ORIGINS)
def test_a_file_without_a_name_is_used_as_before(
    stack: Stack, prepare: Callable[[Kernel], None], lose: Callable[[Kernel], None]
) -> None:
    with stack.opened() as kernel:
        prepare(kernel)
        number = kernel.number("low")
        lose(kernel)
        assert kernel.union.getattr(number).nlink == 0
        assert kernel.read_number(number) == b"low content"
        kernel.write_number(number, b"LOW")
        assert kernel.read_number(number) == b"LOW content"
        kernel.change_number(number, size=3)
        assert kernel.read_number(number) == b"LOW"
        shown = kernel.change_number(number, mode=0o600, uid=7, gid=8, mtime_ns=9)
        assert (shown.mode & 0o7777, shown.uid, shown.gid, shown.mtime_ns) == (0o600, 7, 8, 9)
        run(kernel.union.setxattr(number, b"user.a", b"1", 0))
        assert kernel.union.getxattr(number, b"user.a") == b"1"
        run(kernel.union.removexattr(number, b"user.a"))
        run(kernel.union.fsync(number, content_only=False))
        assert kernel.union.getattr(number).nlink == 0
        assert kernel.union.getattr(number).ino == number


@pytest.mark.parametrize("lose", [unlinked, replaced])
@pytest.mark.parametrize("prepare", ORIGINS)
def test_nothing_is_left_in_the_workdir_when_it_is_forgotten(
    stack: Stack, prepare: Callable[[Kernel], None], lose: Callable[[Kernel], None]
) -> None:
    with stack.opened() as kernel:
        prepare(kernel)
        number = kernel.number("low")
        lose(kernel)
        kernel.change_number(number, mode=0o600)
        kernel.write_number(number, b"LOW")
        assert len(stack.staged()) == 1
        kernel.forget(number)
        assert stack.staged() == []
        kernel.forget_everything()
        assert len(kernel.union.nodes.table) == 1


@pytest.mark.parametrize("prepare", ORIGINS)
def test_a_file_without_a_name_is_given_none_by_link(stack: Stack, prepare: Callable[[Kernel], None]) -> None:
    with stack.opened() as kernel:
        prepare(kernel)
        number = kernel.number("low")
        kernel.unlink("low")
        with pytest.raises(FileNotFoundError):
            kernel.link_number(number, "again")
        assert kernel.lookup("again") is None
        assert kernel.union.getattr(number).nlink == 0


@pytest.mark.parametrize("prepare", ORIGINS)
def test_a_new_file_of_the_same_name_is_another_inode(stack: Stack, prepare: Callable[[Kernel], None]) -> None:
    with stack.opened() as kernel:
        prepare(kernel)
        number = kernel.number("low")
        kernel.unlink("low")
        kernel.create("low")
        kernel.write("low", b"second")
        assert kernel.number("low") != number
        kernel.write_number(number, b"FIRST")
        assert kernel.read("low") == b"second"
        kernel.unlink("low")
        kernel.forget(number)
        assert kernel.lookup("low") is None


def test_a_file_that_nobody_uses_is_removed_at_once(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.create("mine")
        kernel.forget_everything()
        run(kernel.union.unlink(ROOT, b"mine"))
        assert stack.staged() == []
        assert len(kernel.union.nodes.table) == 1


def test_a_symlink_without_a_name_is_still_read(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.change("link", uid=5)
        number = kernel.number("link")
        kernel.unlink("link")
        assert kernel.union.readlink(number) == b"somewhere"


def test_another_name_that_wasnt_known_takes_the_file_back(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.create("one")
        kernel.write("one", b"content")
        kernel.link("one", "other")
        kernel.forget_everything()
        number = kernel.number("one")
        kernel.unlink("one")
        assert kernel.union.getattr(number).nlink == 1
        assert kernel.number("other") == number
        assert stack.staged() == []
        assert kernel.stat("other").nlink == 1
        assert kernel.read("other") == b"content"
        kernel.unlink("other")
        assert kernel.union.getattr(number).nlink == 0
        kernel.forget_everything()
        assert stack.staged() == []


def test_a_new_name_takes_the_file_back_from_the_workdir(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.create("one")
        kernel.link("one", "other")
        kernel.forget_everything()
        number = kernel.number("one")
        kernel.unlink("one")
        kernel.link_number(number, "third")
        assert kernel.union.getattr(number).nlink == 2
        assert stack.staged() == []
        kernel.unlink("third")
        assert kernel.union.getattr(number).nlink == 1
        kernel.unlink("other")
        assert kernel.union.getattr(number).nlink == 0
        kernel.forget_everything()
        assert stack.staged() == []


def test_a_file_made_without_a_name_may_get_one(stack: Stack) -> None:
    with stack.opened() as kernel:
        shown = kernel._remember(kernel.union.create_nameless(ROOT, 0o100640, kernel.other_caller))
        assert (shown.nlink, shown.mode, shown.uid) == (0, 0o100640, kernel.other_caller.uid)
        kernel.write_number(shown.ino, b"content")
        assert sorted(kernel.names()) == ["link", "low", "target"]
        assert kernel.link_number(shown.ino, "named").nlink == 1
        assert kernel.read("named") == b"content"
        assert stack.staged() == []
        kernel.unlink("named")
        with pytest.raises(FileNotFoundError):
            kernel.link_number(shown.ino, "again")
        kernel.forget_everything()
        assert stack.staged() == []


def test_a_file_made_without_a_name_is_gone_when_it_is_forgotten(stack: Stack) -> None:
    with stack.opened() as kernel:
        number = kernel._remember(kernel.union.create_nameless(ROOT, 0o100600, kernel.root_caller)).ino
        assert len(stack.staged()) == 1
        kernel.forget(number)
        assert stack.staged() == []
        assert len(kernel.union.nodes.table) == 1


def test_what_was_left_in_the_workdir_is_swept_by_the_next_session(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.create("mine")
        kernel.unlink("mine")
    assert len(stack.staged()) == 1
    with stack.opened() as kernel:
        assert stack.staged() == []
        assert kernel.lookup("mine") is None
