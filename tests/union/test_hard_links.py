"""Lower files with several names: one inode, before and after copy-up, in this mount and the next.

overlayfs breaks such links at copy-up unless it has an index; the index here is of our own making, so the tests are
of what shows, and of what is left in the workdir.
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count, permutations
from pathlib import Path

import pytest

from tests.faults import failing
from tests.stacks import File, HardLink, Layer
from tests.unions import EVERYTHING, Kernel, Stack
from unionfs.layer import index
from unionfs.linux.rename import RENAME_EXCHANGE

LINKED = {"x": File(b"low"), "y": HardLink("x"), "d/z": HardLink("x")}


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [LINKED], EVERYTHING)


def copy_as_cp_does(source: Path, target: Path) -> None:
    """Copy content and extended attributes, as ``cp -a`` of an upper that isn't mounted."""
    shutil.copyfile(source, target)
    for name in os.listxattr(source):
        os.setxattr(target, name, os.getxattr(source, name))


def test_a_copy_of_an_upper_file_made_offline_is_a_file_of_its_own(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.write("x", b"new")
    copy_as_cp_does(stack.upper / "x", stack.upper / "copy")
    (stack.upper / "copy").write_bytes(b"other")
    with stack.opened() as kernel:
        assert kernel.read("copy") == b"other"
        assert (kernel.read("x"), kernel.read("y"), kernel.read("d/z")) == (b"new", b"new", b"new")
        kernel.write("copy", b"O")
        assert kernel.read("x") == b"new"
        assert kernel.number("copy") != kernel.number("x")


def test_a_file_whose_index_was_lost_keeps_its_content_when_the_lower_is_indexed_again(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.write("x", b"one")
    shutil.rmtree(stack.work / "work")  # as overlayfs does when it mounts the same workdir
    with stack.opened() as kernel:
        kernel.write("y", b"two")
        assert (kernel.read("x"), kernel.read("y"), kernel.read("d/z")) == (b"one", b"two", b"two")
    with stack.opened() as kernel:
        assert (kernel.read("x"), kernel.read("y"), kernel.read("d/z")) == (b"one", b"two", b"two")
        assert len({kernel.number("x"), kernel.number("y")}) == 2


def links(kernel: Kernel, *names: str) -> list[int]:
    """Give the link count that each name shows; they must be one inode."""
    found = [kernel.stat(name) for name in names]
    assert len({shown.ino for shown in found}) == 1
    return [shown.nlink for shown in found]


def untouched(_: Kernel) -> None:
    """Leave the file where it is."""


def written(kernel: Kernel) -> None:
    kernel.write("x", b"low")


def written_by_another_name(kernel: Kernel) -> None:
    kernel.write("d/z", b"low")


def metadata_alone(kernel: Kernel) -> None:
    kernel.change("y", mode=0o644)


PREPARATIONS = [untouched, written, written_by_another_name, metadata_alone]


@pytest.mark.parametrize("prepare", PREPARATIONS)
def test_what_is_done_by_one_name_shows_by_all(stack: Stack, prepare: Callable[[Kernel], None]) -> None:
    with stack.opened() as kernel:
        number = kernel.number("y")
        prepare(kernel)
        kernel.write("y", b"LOW")
        kernel.change("d/z", mode=0o600)
    for _ in range(2):
        with stack.opened() as kernel:
            assert links(kernel, "x", "y", "d/z") == [3, 3, 3]
            assert {kernel.read(name) for name in ("x", "y", "d/z")} == {b"LOW"}
            assert kernel.stat("x").mode & 0o7777 == 0o600
            assert kernel.number("x") == number


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("order", list(permutations(["x", "y", "d/z"])), ids="-".join)
@pytest.mark.parametrize("prepare", PREPARATIONS)
def test_the_count_is_right_while_name_after_name_goes(
    stack: Stack, prepare: Callable[[Kernel], None], order: tuple[str, ...], *, known: bool, again: bool
) -> None:
    """In one session or in one for each step, with the other names looked up before or not."""
    names = list(order)
    with stack.opened() as kernel:
        prepare(kernel)
        if known:
            links(kernel, *names)
        else:
            kernel.forget_everything()
        while names and not again:
            number = kernel.number(names[0])
            kernel.unlink(names.pop(0))
            assert kernel.union.getattr(number).nlink == len(names)
            assert kernel.read_number(number) == b"low"
    while names:
        with stack.opened() as kernel:
            assert links(kernel, *names) == [len(names)] * len(names)
            kernel.unlink(names.pop(0))
            assert links(kernel, *names) == [len(names)] * len(names) if names else True
    with stack.opened() as kernel:
        assert kernel.names() == ["d"]
        assert kernel.names("d") == []
        kernel.forget_everything()
    with stack.opened():
        assert stack.indexed() == []
        assert stack.staged() == []


def remove_a_name(kernel: Kernel) -> None:
    kernel.unlink("x")


def give_a_name(kernel: Kernel) -> None:
    kernel.link("d/z", "w")


def move_a_name(kernel: Kernel) -> None:
    kernel.rename("y", "d/v")


def replace_a_name(kernel: Kernel) -> None:
    kernel.create("single")
    kernel.rename("single", "y")


def exchange_a_name(kernel: Kernel) -> None:
    kernel.create("single2")
    kernel.rename("single2", "d/z", RENAME_EXCHANGE)


STEPS: dict[Callable[[Kernel], None], Callable[[set[str]], set[str]]] = {
    remove_a_name: lambda names: names - {"x"},
    give_a_name: lambda names: names | {"w"},
    move_a_name: lambda names: names - {"y"} | {"d/v"},
    replace_a_name: lambda names: names - {"y"},
    exchange_a_name: lambda names: names - {"d/z"} | {"single2"},
}


def possible_orders() -> Iterator[tuple[Callable[[Kernel], None], ...]]:
    """Give the orders in which no step needs a name that an earlier one took away."""
    for steps in permutations(STEPS, 3):
        moves = [step for step in steps if step in {move_a_name, replace_a_name}]
        uses = [step for step in steps if step in {give_a_name, exchange_a_name}]
        if len(moves) < 2 and uses != [exchange_a_name, give_a_name]:
            yield steps


@pytest.mark.parametrize("prepare", PREPARATIONS)
@pytest.mark.parametrize(
    "steps", list(possible_orders()), ids=lambda steps: "-".join(step.__name__.split("_")[0] for step in steps)
)
def test_the_count_is_right_whatever_happens_to_the_names(
    memory: Path, prepare: Callable[[Kernel], None], steps: tuple[Callable[[Kernel], None], ...]
) -> None:
    stack = Stack(memory / "stack", [LINKED], EVERYTHING)
    names = {"x", "y", "d/z"}
    with stack.opened() as kernel:
        prepare(kernel)
        for step in steps:
            step(kernel)
            names = STEPS[step](names)
            assert links(kernel, *names) == [len(names)] * len(names), step.__name__
        kernel.forget_everything()
        assert links(kernel, *names) == [len(names)] * len(names)
        kernel.write(next(iter(names)), b"LOW")
    with stack.opened() as kernel:
        assert links(kernel, *names) == [len(names)] * len(names)
        assert {kernel.read(name) for name in names} == {b"LOW"}
        assert len(stack.indexed()) == 2


def test_renaming_one_name_over_another_does_nothing(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.rename("x", "y")
        assert links(kernel, "x", "y", "d/z") == [3, 3, 3]
        kernel.write("x", b"LOW")
        kernel.rename("x", "y")
        kernel.rename("d/z", "x", RENAME_EXCHANGE)
        assert links(kernel, "x", "y", "d/z") == [3, 3, 3]


def test_a_file_open_without_a_name_is_kept_by_the_index_until_it_is_forgotten(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.write("x", b"LOW")
        number = kernel.number("x")
        for name in ("x", "y", "d/z"):
            kernel.unlink(name)
        assert kernel.union.getattr(number).nlink == 0
        kernel.write_number(number, b"!")
        assert kernel.read_number(number) == b"!OW"
        with pytest.raises(FileNotFoundError):
            kernel.link_number(number, "again")
        kernel.forget(number)
        assert stack.indexed() == []


def test_copying_up_a_file_whose_names_are_all_gone_shows_none_of_them(stack: Stack) -> None:
    with stack.opened() as kernel:
        number = kernel.number("x")
        for name in ("x", "y", "d/z"):
            kernel.unlink(name)
        kernel.write_number(number, b"LOW")
        assert kernel.read_number(number) == b"LOW"
        assert kernel.union.getattr(number).nlink == 0
        kernel.forget_everything()
        assert stack.indexed() == []
        assert kernel.names() == ["d"]


def test_a_shortened_copy_that_found_no_space_for_its_name_is_not_kept(stack: Stack) -> None:
    for number in count(1):
        with stack.opened() as kernel:
            file = kernel.number("x")
            with failing(number) as fault:
                try:
                    kernel.change_number(file, size=1)
                except OSError:
                    assert fault.failed is not None
            if kernel.union.getattr(file).size == 1:
                # What fails from here on comes after the copy.
                break
            kernel.forget_everything()
            assert (kernel.read("x"), kernel.read("y")) == (b"low", b"low")
        with stack.opened() as kernel:
            assert (kernel.read("x"), kernel.read("y")) == (b"low", b"low")
    assert number > 10


def test_an_index_that_somebody_changed_under_is_dropped(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.write("x", b"LOW")
    (stack.upper / "x").unlink()  # offline, so that the lower's x shows again
    with stack.opened() as kernel:
        assert stack.indexed() == []
        assert kernel.read("x") == b"low"
        assert links(kernel, "x", "y", "d/z") == [3, 3, 3]


@pytest.mark.parametrize("counts", [b"", b"3:1", b"3:1:9", b"-3:1:1", b"3:1:1:1", b"x", b"3:1:1,"])
def test_counts_that_make_no_sense_drop_the_entry(stack: Stack, counts: bytes) -> None:
    with stack.opened() as kernel:
        kernel.write("x", b"LOW")
    (text,) = [name for name in stack.indexed() if name.endswith(".counts")]
    place = stack.work / "work/unionfs-index" / text
    place.unlink()
    if counts:
        place.symlink_to(os.fsdecode(counts))
    with stack.opened() as kernel:
        assert stack.indexed() == []
        assert kernel.read("x") == b"LOW"
        assert kernel.read("y") == b"low"


def a_long_handle(*_: object) -> bytes:
    return b"h" * 132


def no_handle_that_fits(*_: object) -> bytes:
    raise OSError(errno.EOVERFLOW, os.strerror(errno.EOVERFLOW))


@pytest.mark.parametrize("handle", [a_long_handle, no_handle_that_fits])
def test_a_file_system_of_long_handles_keeps_its_links(
    stack: Stack, handle: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "file_handle", handle)  # as those of a network file system
    with stack.opened() as kernel:
        kernel.write("x", b"new")
        assert kernel.read("y") == b"new"
    with stack.opened() as kernel:
        assert (kernel.read("d/z"), links(kernel, "x", "y", "d/z")) == (b"new", [3, 3, 3])


def test_two_layers_with_linked_files_of_the_same_names_are_kept_apart(tmp_path: Path) -> None:
    layers: list[Layer] = [{"a": File(b"top"), "b": HardLink("a")}, {"b": File(b"low"), "c": HardLink("b")}]
    stack = Stack(tmp_path / "stack", layers, EVERYTHING)
    with stack.opened() as kernel:
        kernel.write("c", b"L")
        kernel.write("b", b"T")
    with stack.opened() as kernel:
        assert [kernel.read(name) for name in ("a", "b", "c")] == [b"Top", b"Top", b"Low"]
        assert links(kernel, "a", "b") == [2, 2]


def test_numbers_are_those_of_the_lower_whichever_name_is_seen_first(stack: Stack) -> None:
    with stack.opened() as kernel:
        number = kernel.number("x")
        kernel.write("d/z", b"LOW")
    for first in ("x", "y", "d/z"):
        with stack.opened() as kernel:
            assert kernel.number(first) == number
            assert len({kernel.number(name) for name in ("x", "y", "d/z")}) == 1


def test_upper_hard_links_are_one_file_too(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [{"d/low": File()}], EVERYTHING)
    with stack.opened() as kernel:
        kernel.create("a")
        kernel.link("a", "d/b")
        kernel.link("d/b", "c")
        assert links(kernel, "a", "d/b", "c") == [3, 3, 3]
        kernel.forget_everything()
        kernel.rename("d", "e")
        kernel.unlink("a")
        assert links(kernel, "e/b", "c") == [2, 2]
        kernel.write("c", b"content")
        assert kernel.read("e/b") == b"content"
    with stack.opened() as kernel:
        assert links(kernel, "e/b", "c") == [2, 2]
        assert stack.indexed() == []
