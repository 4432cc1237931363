"""Whiteouts and marks where the target can't keep overlayfs's own form of them."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.layer.unpacking import Stack, Unpacker, tree, unpack_stack
from tests.tarball import archive, char, directory, file, hardlink, opaque, symlink, whiteout
from unionfs.layer.abilities import WhiteoutForm
from unionfs.layer.unpack import LayerError

PREFIX: Mapping[str, Any] = {"whiteouts": WhiteoutForm.PREFIX}
BARE: Mapping[str, Any] = {
    "whiteouts": WhiteoutForm.PREFIX,
    "namespace": None,
    "user_xattrs": False,
    "owners": False,
    "devices": False,
}
ATTRIBUTE: Mapping[str, Any] = {"whiteouts": WhiteoutForm.ATTRIBUTE}
BASE = archive(
    directory(b"etc/", mode=0o711, mtime=5), file(b"etc/a", b"A"), file(b"etc/b", b"B"), file(b"etc/d/x", b"X")
)
OPAQUE = ".wh..wh..opq"
Unpack = Callable[..., Stack]


@pytest.fixture
def with_form(root: Unpacker) -> Unpack:
    """Return a function that unpacks archives, after the form, into a directory of their own."""

    def unpack(form: Mapping[str, Any], *archives: bytes) -> Stack:
        root.count += 1
        return unpack_stack(root.directory / str(root.count), *archives, lacking=form)

    return unpack


@pytest.mark.parametrize("form", [PREFIX, BARE], ids=["prefix", "bare"])
def test_whiteout_is_a_file_beside_where_no_device_can_be_made(with_form: Unpack, form: Mapping[str, Any]) -> None:
    stack = with_form(form, BASE, archive(whiteout(b"etc/a"), whiteout(b"etc/nope"), whiteout(b"no/where")))
    assert tree(stack.top) == {"etc": "dir", "etc/.wh.a": ""}
    assert os.stat(stack.top / "etc").st_mtime == 5


@pytest.mark.parametrize("form", [PREFIX, BARE, ATTRIBUTE], ids=["prefix", "bare", "attribute"])
def test_whiteout_written_twice_is_one(with_form: Unpack, form: Mapping[str, Any]) -> None:
    once, twice = (tree(with_form(form, BASE, archive(*[whiteout(b"etc/a")] * count)).top) for count in (1, 2))
    assert once == twice


@pytest.mark.parametrize("form", [PREFIX, BARE], ids=["prefix", "bare"])
@pytest.mark.parametrize("reverse", [False, True], ids=["whiteout first", "whiteout last"])
def test_own_names_survive_a_whiteout_beside_them(with_form: Unpack, form: Mapping[str, Any], reverse: bool) -> None:
    entries = [whiteout(b"etc/a"), file(b"etc/a", b"new"), whiteout(b"etc/d"), directory(b"etc/d/")]
    if reverse:
        entries = [entries[1], entries[0], entries[3], entries[2]]
    shown = tree(with_form(form, BASE, archive(*entries)).top)
    assert (shown["etc/a"], shown["etc/d"]) == ("new", "dir")
    assert "etc/.wh.d" not in shown
    assert ("etc/d/" + OPAQUE in shown) == (form is BARE)


def test_opaque_mark_is_a_file_where_no_attribute_can_be_kept(with_form: Unpack) -> None:
    stack = with_form(BARE, BASE, archive(opaque(b"etc"), opaque(b"etc"), whiteout(b"etc/a"), file(b"etc/n", b"N")))
    assert tree(stack.top) == {"etc": "dir", "etc/" + OPAQUE: "", "etc/n": "N"}
    assert tree(with_form(BARE, BASE, archive(opaque())).top) == {OPAQUE: ""}


@pytest.mark.parametrize("form", [PREFIX, BARE, ATTRIBUTE], ids=["prefix", "bare", "attribute"])
@pytest.mark.parametrize("reverse", [False, True], ids=["outer first", "inner first"])
def test_whiteout_within_what_is_whited_out_adds_nothing(
    with_form: Unpack, form: Mapping[str, Any], reverse: bool
) -> None:
    entries = [whiteout(b"etc"), whiteout(b"etc/d/x")]
    if reverse:
        entries.reverse()
    expected = {"etc": ""} if form is ATTRIBUTE else {".wh.etc": ""}
    assert tree(with_form(form, BASE, archive(*entries)).top) == expected


@pytest.mark.parametrize("form", [PREFIX, BARE, ATTRIBUTE], ids=["prefix", "bare", "attribute"])
def test_hard_link_to_what_was_removed_is_refused(with_form: Unpack, form: Mapping[str, Any]) -> None:
    for removed in (whiteout(b"etc/a"), whiteout(b"etc"), opaque(b"etc"), opaque()):
        with pytest.raises(LayerError, match=r"was removed by this layer|isn't a directory"):
            with_form(form, BASE, archive(removed, hardlink(b"h", b"etc/a")))
    with pytest.raises(LayerError, match="isn't there"):
        with_form(form, BASE, archive(whiteout(b"etc/a")), archive(hardlink(b"h", b"etc/a")))


@pytest.mark.parametrize("form", [PREFIX, BARE, ATTRIBUTE], ids=["prefix", "bare", "attribute"])
def test_directory_over_a_whiteout_below_it_inherits_nothing(with_form: Unpack, form: Mapping[str, Any]) -> None:
    stack = with_form(form, BASE, archive(whiteout(b"etc")), archive(file(b"etc/new")))
    assert os.stat(stack.top / "etc").st_mtime == 0


def test_attribute_whiteouts_are_read_by_overlayfs(root: Unpacker, with_form: Unpack) -> None:
    layer = archive(whiteout(b"etc/a"), whiteout(b"etc/nope"), file(b"etc/new", b"N"))
    stack = with_form(ATTRIBUTE, BASE, layer)
    assert tree(stack.top) == {"etc": "dir", "etc/a": "", "etc/new": "N"}
    with root.merged(stack) as merged:
        assert tree(merged) == {"etc": "dir", "etc/b": "B", "etc/d": "dir", "etc/d/x": "X", "etc/new": "N"}


@pytest.mark.parametrize("reverse", [False, True], ids=["whiteout first", "whiteout last"])
def test_file_survives_a_whiteout_in_an_attribute(with_form: Unpack, reverse: bool) -> None:
    entries = [whiteout(b"etc/a"), file(b"etc/a", b""), whiteout(b"etc/d"), directory(b"etc/d/")]
    if reverse:
        entries = [entries[1], entries[0], entries[3], entries[2]]
    top = with_form(ATTRIBUTE, BASE, archive(*entries)).top
    assert tree(top) == {"etc": "dir", "etc/a": "", "etc/d": "dir"}
    assert "trusted.overlay.whiteout" not in os.listxattr(top / "etc/a")
    assert os.getxattr(top / "etc/d", "trusted.overlay.opaque") == b"y"


def test_opaque_directory_stays_opaque_with_whiteouts_in_attributes(with_form: Unpack) -> None:
    for entries in ([opaque(b"etc"), whiteout(b"etc/a")], [whiteout(b"etc/a"), opaque(b"etc")]):
        top = with_form(ATTRIBUTE, BASE, archive(*entries)).top
        assert tree(top) == {"etc": "dir"}
        assert os.getxattr(top / "etc", "trusted.overlay.opaque") == b"y"


def test_without_attributes_owners_are_lost_with_one_warning(with_form: Unpack) -> None:
    stack = with_form(BARE, archive(file(b"f", b"1", mode=0o4755, uid=5), char(b"c", 1, 3), symlink(b"s", b"f")))
    assert tree(stack.top) == {"f": "1", "c": "", "s": "-> f"}
    assert os.stat(stack.top / "f").st_mode & 0o7777 == 0o755
    assert len(stack.warnings) == 1
    assert "its owner and mode could not be kept" in stack.warnings[0]
