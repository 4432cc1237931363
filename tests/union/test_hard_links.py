"""Lower files with several names: one inode, before and after copy-up, in this mount and the next.

overlayfs breaks such links at copy-up unless it has an index; the index here is of our own making, so the tests are
of what shows, and of what is left in the workdir.
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.stacks import File, HardLink
from tests.unions import EVERYTHING, Stack

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
