"""The file ``.wh..wh..opq`` beside the attribute of an opaque directory, for who knows layers by their files alone."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import failing
from tests.posix.table import errno_of
from tests.stacks import File, Layer
from tests.unions import Kernel, Stack
from unionfs.layer.abilities import WhiteoutForm
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.open_upper import UpperOptions, open_upper
from unionfs.union.flatten import flatten
from unionfs.union.union import Settings

MARKER = ".wh..wh..opq"
OPAQUE = "trusted.overlay.opaque"
LOWER: Layer = {"d/a": File(b"a"), "d/b": File(b"b"), "e/x": File(b"x")}
FORMS = {
    "device": UpperOptions(marker_files=True),
    "prefix": UpperOptions(marker_files=True, prefix_whiteouts=True),
    "user": UpperOptions(marker_files=True, user_namespace=True),
}


@pytest.fixture(params=FORMS)
def stack(tmp_path: Path, request: pytest.FixtureRequest) -> Stack:
    return Stack(tmp_path / "stack", (LOWER,), Settings(volatile=True), FORMS[request.param])


def remove(kernel: Kernel, path: str) -> None:
    for name in kernel.names(path):
        kernel.unlink(f"{path}/{name}")
    kernel.rmdir(path)


def opaque(path: Path) -> tuple[bool, bool]:
    """Tell whether *path* is opaque by its attribute, and by its marker."""
    attributes = os.listxattr(path)
    return OPAQUE in attributes or "user.overlay.opaque" in attributes, (path / MARKER).exists()


def recreate(kernel: Kernel) -> None:
    remove(kernel, "d")
    kernel.mkdir("d")


def move_over(kernel: Kernel) -> None:
    remove(kernel, "d")
    kernel.mkdir("new")
    kernel.rename("new", "d")


def move_onto(kernel: Kernel) -> None:
    """Replace a directory that is opaque itself."""
    recreate(kernel)
    kernel.mkdir("new")
    kernel.rename("new", "d")


@pytest.mark.parametrize("act", [recreate, move_over, move_onto])
def test_a_directory_that_hides_lower_names_has_both_marks(stack: Stack, act: Callable[[Kernel], None]) -> None:
    with stack.opened() as kernel:
        act(kernel)
        kernel.create("d/c")
        assert kernel.names("d") == ["c"]
    assert opaque(stack.upper / "d") == (True, True)
    with stack.opened() as kernel:
        assert kernel.names("d") == ["c"]


def test_either_mark_alone_hides_them(stack: Stack) -> None:
    with stack.opened() as kernel:
        recreate(kernel)
    (stack.upper / "d" / MARKER).unlink()
    with stack.opened() as kernel:
        assert kernel.names("d") == []
    (stack.upper / "d" / MARKER).touch()
    for name in os.listxattr(stack.upper / "d"):
        os.removexattr(stack.upper / "d", name)
    with stack.opened() as kernel:
        assert kernel.names("d") == []


def test_a_marked_directory_that_shows_nothing_can_be_removed_and_replaced(stack: Stack) -> None:
    with stack.opened() as kernel:
        recreate(kernel)
        kernel.rmdir("d")
        recreate_again = kernel.mkdir("d")
        assert recreate_again.is_directory
        kernel.rename("d", "f")
        kernel.mkdir("g")
        kernel.rename("g", "f")
        assert sorted(kernel.names()) == ["e", "f"]
        assert stack.staged() == []
    with stack.opened() as kernel:
        assert sorted(kernel.names()) == ["e", "f"]


def test_moving_a_directory_to_a_lower_name_keeps_its_times(stack: Stack) -> None:
    with stack.opened() as kernel:
        remove(kernel, "d")
        kernel.mkdir("new")
        kernel.change("new", atime_ns=11, mtime_ns=12)
        kernel.rename("new", "d")
        shown = kernel.stat("d")
    assert (shown.atime_ns, shown.mtime_ns) == (11, 12)
    assert opaque(stack.upper / "d") == (True, True)


def test_a_directory_that_hides_nothing_has_none(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.mkdir("new")
        kernel.create("d/c")
        kernel.rename("new", "newer")
    assert opaque(stack.upper / "newer") == opaque(stack.upper / "d") == (False, False)


def test_without_the_option_there_is_no_such_file(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", (LOWER,), Settings(volatile=True))
    with stack.opened() as kernel:
        move_onto(kernel)
    assert opaque(stack.upper / "d") == (True, False)


def test_flattening_leaves_the_attribute_alone(stack: Stack) -> None:
    with stack.opened() as kernel:
        recreate(kernel)
        kernel.create("d/c")
    descriptors = Descriptors(64)
    opened = open_upper(os.fsencode(stack.upper), os.fsencode(stack.work), descriptors, UpperOptions())
    flatten(opened.upper, [], lambda _: None)
    opened.close()
    assert opaque(stack.upper / "d") == (True, False)
    with stack.opened() as kernel:
        assert kernel.names("d") == ["c"]


def test_where_no_such_name_is_taken_the_attribute_is_enough(tmp_path: Path) -> None:
    form = WhiteoutForm.ATTRIBUTE
    stack = Stack(tmp_path / "stack", (LOWER,), Settings(volatile=True), FORMS["device"], whiteouts=form)
    with stack.opened() as kernel:
        move_onto(kernel)
        assert kernel.names("d") == []
    assert opaque(stack.upper / "d") == (True, False)


def test_a_replaced_directory_is_marked_again_where_replacing_fails(stack: Stack) -> None:
    """Fail each call in turn; what is still there after the error is marked as before."""
    reached = 0
    for call in range(1, 40):
        stack = Stack(stack.directory / f"{call}", (LOWER,), stack.settings, stack.options)
        with stack.opened() as kernel:
            recreate(kernel)
            kernel.mkdir("new")
            with failing(call, errno.EIO):
                failed = errno_of(lambda: kernel.rename("new", "d"))
            if failed:
                assert sorted(kernel.names()) == ["d", "e", "new"]
                assert opaque(stack.upper / "d") == (True, True)
                reached += 1
    assert reached > 3


def test_where_the_marker_alone_can_be_kept_no_directory_is_moved_over_it(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", (LOWER,), Settings(volatile=True))
    with stack.opened() as kernel:
        upper = kernel.union.nodes.upper
        assert upper is not None
        upper.use(upper.abilities._replace(namespace=None))
        recreate(kernel)
        kernel.mkdir("new")
        with pytest.raises(OSError, match=os.strerror(errno.EXDEV)):
            kernel.rename("new", "d")
        assert kernel.names("d") == []
        assert opaque(stack.upper / "d") == (False, True)
        kernel.rmdir("d")
        kernel.rename("new", "d")
        assert opaque(stack.upper / "d") == (False, True)
