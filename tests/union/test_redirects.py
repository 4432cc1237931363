"""Where redirects lead (overlayfs, "Redirecting directories"): from the upper and from layers in the middle.

A relative redirect is another name in the same parent, an absolute one a path from the root of the layers beneath the
one that holds it.
"""

import shutil
from errno import EIO, EPERM
from pathlib import Path

import pytest

from tests.stacks import OPAQUE, WHITEOUT, Directory, File, Layer
from tests.unions import EVERYTHING, Kernel, Stack
from unionfs.union.union import Settings


def redirect(to: str, **more: bytes) -> Directory:
    """Describe a directory that goes on at *to* beneath."""
    return Directory(xattrs={"trusted.overlay.redirect": to.encode(), **more})


def shown(tmp_path: Path, *lowers: Layer, settings: Settings = EVERYTHING) -> dict[str, bytes]:
    """Give the regular files that a stack without changes shows, with their content."""
    with Stack(tmp_path / "stack", lowers, settings).opened() as kernel:
        return {path: found.content for path, found in kernel.tree().items() if found.mode >> 12 == 0o10}


def test_an_absolute_redirect_goes_on_at_its_path(tmp_path: Path) -> None:
    found = shown(tmp_path, {"d": redirect("/a/b"), "d/top": File()}, {"a/b/low": File(b"x"), "d/other": File()})
    assert found == {"a/b/low": b"x", "d/top": b"", "d/low": b"x"}


def test_a_relative_redirect_goes_on_at_a_name_of_the_same_directory(tmp_path: Path) -> None:
    found = shown(tmp_path, {"p/d": redirect("e")}, {"p/e/low": File(b"x"), "p/d/other": File()})
    assert found == {"p/d/low": b"x", "p/e/low": b"x"}


def test_a_redirect_leads_only_beneath_its_own_layer(tmp_path: Path) -> None:
    found = shown(
        tmp_path,
        {"e/above": File()},
        {"d": redirect("/e"), "e/beside": File()},
        {"e/low": File(b"x")},
    )
    assert {path for path in found if path.startswith("d/")} == {"d/low"}


def test_redirects_of_several_layers_are_followed_one_after_another(tmp_path: Path) -> None:
    found = shown(
        tmp_path,
        {"a": redirect("/b"), "a/one": File()},
        {"b": redirect("/c/d"), "b/two": File()},
        {"c/d": redirect("e"), "c/d/three": File()},
        {"c/e/four": File(), "c/d/hidden": File()},
    )
    assert {path for path in found if path.startswith("a/")} == {"a/one", "a/two", "a/three", "a/four"}


def test_a_redirect_goes_through_redirected_parents(tmp_path: Path) -> None:
    found = shown(tmp_path, {"d": redirect("/p/s")}, {"p": redirect("/q")}, {"q/s/low": File(b"x")})
    assert found["d/low"] == b"x"


def test_a_redirect_ends_at_an_opaque_directory_on_its_way(tmp_path: Path) -> None:
    found = shown(tmp_path, {"d": redirect("/p/s")}, {"p": OPAQUE, "p/s/near": File()}, {"p/s/far": File()})
    assert {path for path in found if path.startswith("d/")} == {"d/near"}


def test_a_redirect_ends_at_a_whiteout_on_its_way(tmp_path: Path) -> None:
    found = shown(tmp_path, {"d": redirect("/p/s")}, {"p": WHITEOUT}, {"p/s/far": File()})
    assert found == {}


def test_a_redirect_to_a_file_shows_nothing_beneath(tmp_path: Path) -> None:
    assert shown(tmp_path, {"d": redirect("/f")}, {"f": File(b"x")}) == {"f": b"x"}


def test_a_redirect_into_nowhere_shows_nothing_beneath(tmp_path: Path) -> None:
    assert shown(tmp_path, {"d": redirect("/not/there"), "d/top": File()}, {"d/low": File()}) == {"d/top": b""}


def test_nothing_shows_through_an_opaque_root_by_a_redirect(tmp_path: Path) -> None:
    found = shown(tmp_path, {".": OPAQUE, "d": redirect("/e")}, {"e/low": File()})
    assert found == {}


def test_nothing_shows_through_the_upper_s_opaque_root_by_a_redirect(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [{"d/low": File()}], EVERYTHING)
    with stack.opened() as kernel:
        kernel.rename("d", "e")
    with stack.opened() as kernel:
        assert kernel.names("e") == ["low"]
    (stack.upper / ".wh..wh..opq").touch()
    with stack.opened() as kernel:
        assert kernel.names("e") == []


def test_where_redirects_are_not_followed_the_directory_cannot_be_reached(tmp_path: Path) -> None:
    stack = Stack(
        tmp_path / "stack",
        [{"d": redirect("/e"), "f": File()}, {"e/low": File()}],
        Settings(follow_redirects=False),
    )
    with stack.opened() as kernel:
        assert sorted(kernel.names()) == ["d", "e", "f"]
        with pytest.raises(PermissionError) as failure:
            kernel.lookup("d")
        assert failure.value.errno == EPERM


@pytest.mark.parametrize(
    "bad",
    ["", "/", "a/b", "/a//b", "/a/", "/../etc", "..", ".", "/a/./b", "/" + "x" * 256, "/a\0b"],
    ids=lambda text: repr(text[:8]),
)
def test_a_redirect_that_overlayfs_refuses_is_an_error(tmp_path: Path, bad: str) -> None:
    with Stack(tmp_path / "stack", [{"d": redirect(bad)}, {"d/low": File()}]).opened() as kernel:
        with pytest.raises(OSError, match="a redirect in a layer") as failure:
            kernel.lookup("d")
        assert failure.value.errno == EIO
        assert kernel.names() == ["d"]


def moved(kernel: Kernel) -> None:
    """Move a directory with changed and unchanged children, twice."""
    kernel.write("d/sub/changed", b"CHANGED")
    kernel.mkdir("pure")
    kernel.rename("d", "pure/once")
    kernel.rename("pure/once", "twice")


def test_a_moved_directory_shows_the_same_in_the_next_session(tmp_path: Path) -> None:
    lower = {"d/f": File(b"f"), "d/sub/changed": File(b"changed"), "d/sub/deep/g": File(b"g"), "pure2/x": File()}
    stack = Stack(tmp_path / "stack", [lower, {"d/far": File(b"far")}], EVERYTHING)
    with stack.opened() as kernel:
        numbers = {path: found.ino for path, found in kernel.tree().items()}
        moved(kernel)
        kernel.forget_everything()
        tree = kernel.tree()
        assert {path: found.content for path, found in tree.items() if path.startswith("twice/")} == {
            "twice/f": b"f",
            "twice/far": b"far",
            "twice/sub": b"",
            "twice/sub/changed": b"CHANGED",
            "twice/sub/deep": b"",
            "twice/sub/deep/g": b"g",
        }
        assert {path: found.ino for path, found in tree.items() if path.startswith("twice/")} == {
            path.replace("d/", "twice/", 1): number for path, number in numbers.items() if path.startswith("d/")
        }
    with stack.opened() as kernel:
        assert kernel.tree() == tree


def test_children_known_before_a_move_are_used_after_it(tmp_path: Path) -> None:
    lower = {"d/f": File(b"f"), "d/own": File(b"own"), "d/sub/g": File(b"g")}
    stack = Stack(tmp_path / "stack", [lower], EVERYTHING)
    with stack.opened() as kernel:
        kernel.change("d/own", mode=0o600)
        number = {name: kernel.number(f"d/{name}") for name in ("f", "own", "sub", "sub/g")}
        kernel.rename("d", "e")
        kernel.mkdir("d")
        kernel.create("d/f")
        kernel.create("d/own")
        kernel.write_number(number["f"], b"F")
        kernel.write_number(number["own"], b"OWN")
        kernel.write_number(number["sub/g"], b"G")
        kernel._remember(kernel.union.create(number["sub"], b"new", 0o100644, kernel.root_caller))
        expected = {"e/f": b"F", "e/own": b"OWN", "e/sub/g": b"G", "e/sub/new": b"", "d/f": b"", "d/own": b""}
        contents = {path: found.content for path, found in kernel.tree().items() if found.mode >> 12 == 0o10}
        assert contents == expected
    with stack.opened() as kernel:
        contents = {path: found.content for path, found in kernel.tree().items() if found.mode >> 12 == 0o10}
        assert contents == expected


def test_two_directories_that_go_on_at_the_same_place_have_files_of_their_own(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [{"d/f": File(b"low")}], EVERYTHING)
    with stack.opened() as kernel:
        kernel.rename("d", "one")
    shutil.copytree(stack.upper / "one", stack.upper / "two")  # copies attributes too
    with stack.opened() as kernel:
        kernel.lookup("two/f")
        kernel.write("one/f", b"new")
        assert kernel.read("two/f") == b"low"
        assert kernel.number("one/f") != kernel.number("two/f")
        kernel.unlink("two/f")
        assert kernel.stat("one/f").nlink == 1
        assert kernel.read("one/f") == b"new"
    with stack.opened() as kernel:
        assert kernel.read("one/f") == b"new"
        assert kernel.lookup("two/f") is None
