"""Whiteouts: what a layer says of names beneath it (OCI image-spec, layer.md)."""

import os
import stat
from collections.abc import Callable

import pytest

from tests.layer.unpacking import Unpacker, tree
from tests.tarball import archive, directory, file, hardlink, opaque, symlink, whiteout

BASE = archive(
    directory(b"etc/"),
    file(b"etc/a", b"A"),
    file(b"etc/b", b"B"),
    directory(b"etc/sub/"),
    file(b"etc/sub/f", b"F"),
    directory(b"dir/"),
    file(b"dir/f", b"F"),
    directory(b"dir/sub/"),
    file(b"dir/sub/g", b"G"),
    symlink(b"link", b"etc"),
)


def beneath(shown: object, top: str) -> dict[str, str]:
    """Return the part of a tree below one of its directories, and the directory itself."""
    assert isinstance(shown, dict)
    return {path: what for path, what in shown.items() if path == top or path.startswith(top + "/")}


def test_whiteout_hides_the_lower_name_alone(anyone: Unpacker) -> None:
    shown = anyone.shown(BASE, archive(whiteout(b"etc/a")))
    assert beneath(shown, "etc") == {"etc": "dir", "etc/b": "B", "etc/sub": "dir", "etc/sub/f": "F"}
    assert not [path for path in shown if ".wh." in path]


def test_whiteout_is_kept_as_device_0_0(anyone: Unpacker) -> None:
    stack = anyone.unpack(BASE, archive(whiteout(b"etc/a")))
    assert tree(stack.top) == {"etc": "dir", "etc/a": "char 0:0"}


def test_whiteout_of_a_name_that_is_not_there_has_no_effect(anyone: Unpacker) -> None:
    stack = anyone.unpack(BASE, archive(whiteout(b"etc/nope"), whiteout(b"nowhere/deep/nope")))
    assert tree(stack.top) == {}


def test_whiteout_written_twice_is_one(anyone: Unpacker) -> None:
    stack = anyone.unpack(BASE, archive(whiteout(b"etc/a"), whiteout(b"etc/a"), whiteout(b"etc//./a")))
    assert tree(stack.top) == {"etc": "dir", "etc/a": "char 0:0"}
    assert not stack.warnings


def test_whiteout_of_a_name_that_an_earlier_layer_removed_is_not_kept(anyone: Unpacker) -> None:
    stack = anyone.unpack(BASE, archive(whiteout(b"etc/a")), archive(whiteout(b"etc/a")))
    assert tree(stack.top) == {}


def test_whiteout_of_a_directory_hides_all_of_it(anyone: Unpacker) -> None:
    assert beneath(anyone.shown(BASE, archive(whiteout(b"dir"))), "dir") == {}


@pytest.mark.parametrize(
    "entry",
    [
        directory(b"etc/.wh.a/"),
        file(b"etc/.wh.a", b"content"),
        symlink(b"etc/.wh.a", b"b"),
        hardlink(b"etc/.wh.a", b"no/such/file"),
    ],
    ids=["directory", "file", "symlink", "hardlink"],
)
def test_whiteout_is_told_by_its_name_whatever_its_type(anyone: Unpacker, entry: bytes) -> None:
    assert "etc/a" not in anyone.shown(BASE, archive(entry))


def test_content_of_a_whiteout_is_skipped(anyone: Unpacker) -> None:
    layer = archive(file(b"etc/.wh.a", b"x" * 5000), file(b"etc/after", b"1"))
    assert beneath(anyone.shown(BASE, layer), "etc/after") == {"etc/after": "1"}


@pytest.mark.parametrize("reverse", [False, True], ids=["whiteout first", "whiteout last"])
def test_file_survives_the_whiteout_of_its_own_layer(anyone: Unpacker, reverse: bool) -> None:
    entries = [whiteout(b"etc/a"), file(b"etc/a", b"new")]
    if reverse:
        entries.reverse()
    assert anyone.shown(BASE, archive(*entries))["etc/a"] == "new"


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (1, 0, 2)], ids=["first", "last", "between"])
def test_directory_with_its_own_whiteout_shows_nothing_from_beneath(anyone: Unpacker, order: tuple[int, ...]) -> None:
    entries = [whiteout(b"dir"), directory(b"dir/"), file(b"dir/new", b"N")]
    shown = anyone.shown(BASE, archive(*(entries[number] for number in order)))
    assert beneath(shown, "dir") == {"dir": "dir", "dir/new": "N"}


@pytest.mark.parametrize("reverse", [False, True], ids=["whiteout first", "whiteout last"])
def test_whited_out_directory_may_come_back_by_a_path_through_it(root: Unpacker, reverse: bool) -> None:
    entries = [whiteout(b"dir"), file(b"dir/new", b"N")]
    if reverse:
        entries.reverse()
    base = archive(directory(b"dir/", mode=0o700, uid=7, gid=8), file(b"dir/f", b"F"))
    with root.merged(root.unpack(base, archive(*entries))) as merged:
        assert tree(merged) == {"dir": "dir", "dir/new": "N"}
        found = os.stat(merged / "dir")
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o755, 0, 0)


@pytest.mark.parametrize("reverse", [False, True], ids=["outer first", "inner first"])
def test_whiteout_within_what_the_layer_whites_out_adds_nothing(anyone: Unpacker, reverse: bool) -> None:
    entries = [whiteout(b"dir"), whiteout(b"dir/sub/g")]
    if reverse:
        entries.reverse()
    stack = anyone.unpack(BASE, archive(*entries))
    assert tree(stack.top) == {"dir": "char 0:0"}
    assert not stack.warnings


@pytest.mark.parametrize("name", [b".wh.", b".wh..", b".wh...", b"etc/.wh.", b"etc/.wh..", b"etc/.wh..."])
def test_whiteout_of_no_name_is_refused(anyone: Unpacker, name: bytes) -> None:
    assert anyone.refusal(BASE, archive(file(name))) == f"{name.decode()}: invalid whiteout name"


def test_name_of_a_whiteout_is_cleaned_first(anyone: Unpacker) -> None:
    assert beneath(anyone.shown(BASE, archive(file(b"dne/../.wh.etc"))), "etc") == {}


def test_directory_named_as_a_whiteout_is_refused(anyone: Unpacker) -> None:
    assert "name of a whiteout" in anyone.refusal(BASE, archive(file(b".wh.etc/somefile")))


def test_whiteout_of_a_symlink_removes_the_link_alone(anyone: Unpacker) -> None:
    shown = anyone.shown(BASE, archive(whiteout(b"link")))
    assert "link" not in shown
    assert shown["etc/a"] == "A"


@pytest.mark.parametrize(
    "make",
    [
        lambda name: whiteout(name + b"/a"),
        lambda name: whiteout(name + b"/no/where"),
        opaque,
    ],
    ids=["whiteout", "deep whiteout", "opaque marker"],
)
@pytest.mark.parametrize("name", ["link", "plain"])
def test_whiteout_through_what_is_no_directory_beneath_makes_it_one(
    anyone: Unpacker, name: str, make: Callable[[bytes], bytes]
) -> None:
    base = archive(directory(b"etc/"), file(b"etc/a", b"A"), symlink(b"link", b"etc"), file(b"plain", b"P"))
    before = {"etc": "dir", "etc/a": "A", "link": "-> etc", "plain": "P"}
    assert anyone.shown(base, archive(make(name.encode()))) == before | {name: "dir"}


def test_whiteout_beneath_a_file_of_its_own_layer_has_no_effect(anyone: Unpacker) -> None:
    for entries in ([symlink(b"x", b"etc"), whiteout(b"x/a")], [whiteout(b"x/a"), symlink(b"x", b"etc")]):
        shown = anyone.shown(BASE, archive(*entries))
        assert (shown["x"], shown["etc/a"]) == ("-> etc", "A")


def test_many_whiteouts_for_nothing_leave_nothing(anyone: Unpacker) -> None:
    layer = archive(directory(b"etc/", mtime=5), *(whiteout(b"etc/%d" % number) for number in range(5000)))
    stack = anyone.unpack(BASE, layer)
    assert tree(stack.top) == {"etc": "dir"}
    assert os.stat(stack.top / "etc").st_mtime == 5


def test_whiteout_leaves_the_times_of_its_directory(root: Unpacker) -> None:
    base = archive(directory(b"etc/", mtime=12345), file(b"etc/a"), file(b"etc/b"))
    with root.merged(root.unpack(base, archive(whiteout(b"etc/a", mtime=99, uid=5, mode=0o777)))) as merged:
        assert os.stat(merged / "etc").st_mtime_ns == 12345 * 10**9
    stack = root.unpack(base, archive(directory(b"etc/", mtime=777), whiteout(b"etc/a")))
    assert os.stat(stack.top / "etc").st_mtime_ns == 777 * 10**9


def test_file_that_comes_back_in_a_third_layer_has_nothing_of_the_first(root: Unpacker) -> None:
    stack = root.unpack(
        archive(file(b"etc/a", b"old", uid=7, xattrs={b"user.k": b"old"})),
        archive(whiteout(b"etc/a")),
        archive(file(b"etc/a", b"new", uid=9)),
    )
    with root.merged(stack) as merged:
        assert tree(merged)["etc/a"] == "new"
        assert os.stat(merged / "etc/a").st_uid == 9
        assert os.listxattr(merged / "etc/a") == []


def test_bookkeeping_of_aufs_is_not_content(anyone: Unpacker) -> None:
    layer = archive(
        file(b".wh..wh.aufs"),
        directory(b".wh..wh.orph/"),
        file(b".wh..wh.orph/x", b"1"),
        directory(b".wh..wh.plnk/"),
        file(b".wh..wh.plnk/12.34", b"linked", mode=0o640),
        hardlink(b"one", b".wh..wh.plnk/12.34"),
        hardlink(b"two", b".wh..wh.plnk/12.34"),
    )
    stack = anyone.unpack(layer)
    assert tree(stack.top) == {"one": "linked", "two": "linked"}
    assert os.path.samefile(stack.top / "one", stack.top / "two")


@pytest.mark.parametrize("name", [b".wh..wh..opq", b".wh.etc", b"deep/.wh..wh..opq", b"deep/.wh.x"])
@pytest.mark.parametrize("of_aufs", [b".wh..wh.plnk", b".wh..wh.orph"])
def test_whiteout_in_the_bookkeeping_of_aufs_means_nothing(anyone: Unpacker, of_aufs: bytes, name: bytes) -> None:
    stack = anyone.unpack(BASE, archive(file(of_aufs + b"/" + name), file(b"after", b"1")))
    assert tree(stack.top) == {"after": "1"}


def test_opaque_marker_within_a_whited_out_directory_makes_it_again(anyone: Unpacker) -> None:
    shown = anyone.shown(BASE, archive(whiteout(b"dir"), opaque(b"dir/sub")))
    assert beneath(shown, "dir") == {"dir": "dir", "dir/sub": "dir"}
