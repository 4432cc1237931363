"""Opaque directories: the marker ``.wh..wh..opq`` hides all that is beneath, wherever it stands in the archive."""

import os

import pytest

from tests.layer.unpacking import Unpacker, tree
from tests.tarball import archive, directory, file, opaque, symlink, whiteout

BASE = archive(
    directory(b"dir/", mode=0o711, uid=7, gid=8, mtime=12345),
    file(b"dir/f", b"F"),
    directory(b"dir/sub/"),
    file(b"dir/sub/g", b"G"),
    file(b"other", b"O"),
)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 2, 3, 0), (1, 0, 2, 3)], ids=["first", "last", "between"])
def test_opaque_marker_hides_lower_names_wherever_it_stands(anyone: Unpacker, order: tuple[int, ...]) -> None:
    entries = [opaque(b"dir"), directory(b"dir/"), file(b"dir/mine", b"M"), file(b"dir/n/x", b"X")]
    shown = anyone.shown(BASE, archive(*(entries[number] for number in order)))
    assert shown == {"dir": "dir", "dir/mine": "M", "dir/n": "dir", "dir/n/x": "X", "other": "O"}


def test_opaque_marker_itself_is_not_shown(anyone: Unpacker) -> None:
    stack = anyone.unpack(BASE, archive(opaque(b"dir", mode=0o755)))
    assert tree(stack.top) == {"dir": "dir"}


def test_opaque_directory_without_an_entry_looks_as_it_does_beneath(root: Unpacker) -> None:
    with root.merged(root.unpack(BASE, archive(opaque(b"dir")))) as merged:
        found = os.stat(merged / "dir")
    assert (found.st_mode & 0o7777, found.st_uid, found.st_gid, found.st_mtime) == (0o711, 7, 8, 12345)


def test_opaque_directory_that_is_nowhere_beneath_is_made(root: Unpacker) -> None:
    with root.merged(root.unpack(BASE, archive(opaque(b"fresh/one")))) as merged:
        assert tree(merged)["fresh/one"] == "dir"
        found = os.stat(merged / "fresh/one")
    assert (found.st_mode & 0o7777, found.st_uid, found.st_gid, found.st_mtime) == (0o755, 0, 0, 0)


def test_opaque_marker_below_what_the_layer_whites_out_makes_the_directory(anyone: Unpacker) -> None:
    shown = anyone.shown(BASE, archive(whiteout(b"dir"), opaque(b"dir/sub")))
    assert shown == {"dir": "dir", "dir/sub": "dir", "other": "O"}


def test_opaque_marker_below_a_symlink_of_its_own_layer_replaces_the_link(anyone: Unpacker) -> None:
    shown = anyone.shown(BASE, archive(symlink(b"dir", b"other"), opaque(b"dir/sub")))
    assert shown == {"dir": "dir", "dir/f": "F", "dir/sub": "dir", "other": "O"}


def test_opaque_marker_in_a_file_of_its_own_layer_replaces_the_file(anyone: Unpacker) -> None:
    shown = anyone.shown(BASE, archive(file(b"dir", b"x"), opaque(b"dir")))
    assert shown == {"dir": "dir", "other": "O"}


def test_opaque_marker_beside_a_whiteout_in_the_same_directory_suffices(anyone: Unpacker) -> None:
    for entries in ([opaque(b"dir"), whiteout(b"dir/f")], [whiteout(b"dir/f"), opaque(b"dir")]):
        assert tree(anyone.unpack(BASE, archive(*entries)).top) == {"dir": "dir"}


def test_directory_above_an_opaque_one_merges_with_that_layer_only(anyone: Unpacker) -> None:
    shown = anyone.shown(
        BASE,
        archive(opaque(b"dir"), file(b"dir/second", b"2")),
        archive(directory(b"dir/"), file(b"dir/third", b"3")),
    )
    assert shown == {"dir": "dir", "dir/second": "2", "dir/third": "3", "other": "O"}


def test_whiteout_of_what_an_opaque_directory_hides_is_not_kept(anyone: Unpacker) -> None:
    stack = anyone.unpack(BASE, archive(opaque(b"dir")), archive(whiteout(b"dir/f"), whiteout(b"dir/sub/g")))
    assert tree(stack.top) == {}


@pytest.mark.parametrize("reverse", [False, True], ids=["outer first", "inner first"])
def test_opaque_directories_nest(anyone: Unpacker, reverse: bool) -> None:
    entries = [opaque(b"dir"), opaque(b"dir/sub")]
    if reverse:
        entries.reverse()
    stack = anyone.unpack(BASE, archive(*entries))
    attribute = "trusted.overlay.opaque" if anyone.name == "root" else "user.overlay.opaque"
    assert tree(stack.top) == {"dir": "dir", "dir/sub": "dir"}
    assert [os.getxattr(stack.top / path, attribute) for path in ("dir", "dir/sub")] == [b"y", b"y"]


def test_opaque_root_is_marked_and_hides_lower_names_when_settling(anyone: Unpacker) -> None:
    stack = anyone.unpack(BASE, archive(opaque(), file(b"only", b"1"), whiteout(b"other")))
    attribute = "trusted.overlay.opaque" if anyone.name == "root" else "user.overlay.opaque"
    assert tree(stack.top) == {"only": "1"}
    assert os.getxattr(stack.top, attribute) == b"y"


def test_layer_above_an_opaque_root_inherits_nothing_from_below_it(root: Unpacker) -> None:
    stack = root.unpack(BASE, archive(opaque()), archive(file(b"dir/new"), whiteout(b"other")))
    found = os.stat(stack.top / "dir")
    assert tree(stack.top) == {"dir": "dir", "dir/new": ""}
    assert (found.st_mode & 0o7777, found.st_uid, found.st_mtime) == (0o755, 0, 0)
