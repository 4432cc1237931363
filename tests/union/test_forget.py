"""What the kernel forgets is dropped, in whichever order, and found again as it was; nothing is left open."""

import gc
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.stacks import File, HardLink, Layer, Symlink
from tests.unions import EVERYTHING, Kernel, Stack, open_descriptors
from unionfs.layer.descriptors import MINIMUM
from unionfs.union.step import run
from unionfs.union.table import ROOT
from unionfs.union.union import Settings

TOP: Layer = {"a/b/c/f": File(b"f"), "a/b/g": File(b"g"), "x": File(b"x"), "a/y": HardLink("x"), "s": Symlink("x")}
LOW: Layer = {"a/b/c/low": File(b"low"), "a/z/deep/er/est": File(), "x/hidden": File()}


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [TOP, LOW], EVERYTHING)


def changed(kernel: Kernel) -> None:
    """Change some of everything."""
    kernel.write("a/b/c/f", b"F")
    kernel.write("x", b"X")
    kernel.change("a/b/g", mode=0o600)
    kernel.rename("a/b", "a/moved")
    kernel.create("a/moved/new")
    kernel.link("a/moved/new", "a/z/deep/linked")
    kernel.unlink("a/z/deep/er/est")
    kernel.unlink("s")
    kernel.rmdir("a/z/deep/er")
    kernel.create("open")
    kernel.unlink("open")


def shuffled(seed: int) -> Callable[[list[int]], Sequence[int]]:
    def order(numbers: list[int]) -> Sequence[int]:
        return random.Random(seed).sample(sorted(numbers), len(numbers))

    return order


ORDERS: dict[str, Callable[[list[int]], Sequence[int]]] = {
    "parents first": list,
    "children first": lambda numbers: numbers[::-1],
    **{f"order {seed}": shuffled(seed) for seed in range(8)},
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("change", [False, True])
def test_everything_is_dropped_in_any_order(stack: Stack, order: str, *, change: bool) -> None:
    with stack.opened() as kernel:
        if change:
            changed(kernel)
        before = kernel.tree()
        kernel.forget_everything(ORDERS[order])
        assert len(kernel.union.nodes.table) == 1
        assert kernel.union.nodes.root.children == {}
        assert len(kernel.union.nodes.files) == 0
        assert stack.staged() == []
        assert kernel.tree() == before


def test_the_root_is_never_forgotten(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.union.forget(ROOT, 100)
        kernel.union.forget(4711, 1)
        assert kernel.union.getattr(ROOT).is_directory
        assert sorted(kernel.names()) == ["a", "s", "x"]


def test_an_inode_stays_while_the_kernel_has_a_reference(stack: Stack) -> None:
    with stack.opened() as kernel:
        for _ in range(3):
            kernel.lookup("a/b/g")
        number = kernel.number("a/b/g")
        kernel.union.forget(number, 3)
        assert kernel.union.getattr(number).size == 1
        kernel.union.forget(number, 1)
        with pytest.raises(OSError, match="Stale"):
            kernel.union.getattr(number)


def test_a_parent_forgotten_first_stays_for_its_child(stack: Stack) -> None:
    with stack.opened() as kernel:
        child, parent = kernel.number("a/b/c/f"), kernel.number("a/b/c")
        kernel.forget(parent)
        kernel.rename("a/b", "elsewhere")
        kernel.write_number(child, b"F")
        assert kernel.read("elsewhere/c/f") == b"F"


def test_listing_keeps_nothing_that_the_kernel_did_not_take(stack: Stack) -> None:
    with stack.opened() as kernel:
        for _ in range(3):
            for listed in kernel.union.entries(ROOT, 0):
                if listed.node is not None:
                    kernel.union.nodes.drop_if_unknown(listed.node)
        assert len(kernel.union.nodes.table) == 1


def test_directories_that_were_forgotten_hold_no_descriptor(tmp_path: Path) -> None:
    lower = {f"d{number}/e/f": File() for number in range(3 * MINIMUM)}
    stack = Stack(tmp_path / "stack", [lower], EVERYTHING)
    with stack.opened() as kernel:
        before = open_descriptors()
        kernel.tree()
        assert len(kernel.union.nodes.root.lowers[0].tree.descriptors) > 0
        kernel.forget_everything()
        assert open_descriptors() <= before


@pytest.mark.parametrize("settings", [EVERYTHING, Settings(redirect=True, volatile=True)], ids=["metacopy", "whole"])
def test_a_session_leaves_nothing_open_and_nothing_in_memory(stack: Stack, settings: Settings) -> None:
    stack.settings = settings
    for _ in range(2):
        before = open_descriptors()
        with stack.opened() as kernel:
            if "moved" not in kernel.names("a"):
                changed(kernel)
            kernel.tree()
            run(kernel.union.fsync(kernel.number("x"), content_only=True))
            run(kernel.union.fsyncdir(kernel.number("a")))
        assert open_descriptors() == before


def test_memory_comes_back_when_much_was_forgotten(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [{f"d/f{number}": File() for number in range(5000)}], EVERYTHING)
    with stack.opened() as kernel:
        kernel.tree()
        needed = [kernel.union.needs_tidying]
        kernel.forget_everything()
        needed.append(kernel.union.needs_tidying)
        kernel.union.tidy()
        needed.append(kernel.union.needs_tidying)
        assert needed == [False, True, False]
        assert not [node for node in gc.get_objects() if type(node).__name__ == "Inode"]


def test_the_counts_for_the_log_may_be_taken_while_inodes_come_and_go(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.tree()
        counted = 0
        for _ in kernel.union.nodes.table:
            kernel.create(f"new{counted}")
            counted += 1
        assert kernel.union.statistics()["inodes"] == 2 * counted
