"""Names of entries: cleaned as text, kept byte for byte, and never a way out of the layer."""

import os

import pytest

from tests.layer.unpacking import Unpacker, tree
from tests.tarball import archive, directory, extension, file, pax_header, raw_header, symlink


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"./a", "a"),
        (b"d//e///f", "d/e/f"),
        (b"d/./g", "d/g"),
        (b"d/x/../h", "d/h"),
        (b"/abs/x", "abs/x"),
        (b"///x", "x"),
        (b"a/b/../../c", "c"),
        (b"./.", ""),
        (b"-rf", "-rf"),
        (b"a\\b", "a\\b"),
        (b"...", "..."),
        (b"..a/.b", "..a/.b"),
        (b"wh.x", "wh.x"),
    ],
)
def test_name_is_cleaned_as_text(anyone: Unpacker, name: bytes, path: str) -> None:
    entry = file(name, b"1") if path else directory(name)
    shown = tree(anyone.unpack(archive(entry)).top)
    assert [found for found, what in shown.items() if what != "dir"] == ([path] if path else [])


@pytest.mark.parametrize("name", [b"a/", b"a///", b"./a/."])
def test_slash_at_the_end_of_a_directorys_name_says_nothing(anyone: Unpacker, name: bytes) -> None:
    assert tree(anyone.unpack(archive(directory(name))).top) == {"a": "dir"}


def test_file_whose_name_ends_in_a_slash_is_a_directory(anyone: Unpacker) -> None:
    assert tree(anyone.unpack(archive(file(b"old/"))).top) == {"old": "dir"}


@pytest.mark.parametrize("name", [b"../x", b"d/../../x", b"/../x", b"..", b"a/b/../../../x"])
def test_name_that_leads_above_the_root_is_refused(anyone: Unpacker, name: bytes) -> None:
    assert anyone.refusal(archive(file(name))) == f"{name.decode()}: the name leads above the root of the layer"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, kind) for name in (b"", b".", b"/", b"./") for kind in (b"1", b"2", b"3", b"6")),
        *((name, b"0") for name in (b"", b".", b"a/..")),  # with a slash at its end a file's name is a directory's
    ],
)
def test_root_stays_a_directory(anyone: Unpacker, name: bytes, kind: bytes) -> None:
    text = anyone.refusal(archive(raw_header(name, kind, linkname=b"/tmp")))
    assert text == f"'{name.decode()}': refusing to change the type of the layer's root directory"


def test_component_of_255_bytes_is_the_longest(anyone: Unpacker) -> None:
    assert tree(anyone.unpack(archive(file(b"n" * 255, b"1"))).top) == {"n" * 255: "1"}
    for name in (b"n" * 256, b"d/" + b"n" * 256 + b"/x"):
        assert "File name too long" in anyone.refusal(archive(file(name)))


def test_path_longer_than_the_systems_longest_is_unpacked(anyone: Unpacker) -> None:
    parts = [b"%03d" % number + b"x" * 250 for number in range(30)]
    top = anyone.unpack(archive(file(b"/".join(parts), b"deep"), directory(b"/".join(parts[:-1]), mtime=5))).top
    fd = os.open(top, os.O_PATH)
    for part in parts[:-1]:
        deeper = os.open(part, os.O_PATH, dir_fd=fd)
        os.close(fd)
        fd = deeper
    try:
        assert os.stat(parts[-1], dir_fd=fd).st_size == 4
        assert os.fstat(fd).st_mtime == 5
    finally:
        os.close(fd)


def test_path_of_too_many_directories_is_refused(anyone: Unpacker) -> None:
    assert "more than 1024 directories deep" in anyone.refusal(archive(file(b"d/" * 1025 + b"x")))
    assert "more than 1024 directories deep" in anyone.refusal(archive(file(b"./d/./" * 1025 + b"x")))


def test_path_of_as_many_directories_as_allowed_is_unpacked(anyone: Unpacker) -> None:
    layer = archive(file(b"d/" * 1024 + b"x", b"1"), file(b"d/" * 1023 + b"y"), directory(b"d/" * 1024, mode=0o700))
    assert not anyone.unpack(layer, layer).warnings


@pytest.mark.parametrize(
    "name",
    [
        b"\xff\xfe",
        b"caf\xe9",
        b"line\nfeed",
        b"tab\tand space",
        "\N{LATIN SMALL LETTER E WITH ACUTE}".encode(),
        b"e\xcc\x81",
        b"\x1b[2J",
        b"back\\slash",
    ],
)
def test_bytes_of_a_name_are_kept(anyone: Unpacker, name: bytes) -> None:
    assert os.listdir(bytes(anyone.unpack(archive(file(name))).top)) == [name]


def test_names_that_differ_in_case_or_normal_form_are_different_files(anyone: Unpacker) -> None:
    names = [b"A", b"a", b"\xc3\xa9", b"e\xcc\x81"]
    assert set(os.listdir(bytes(anyone.unpack(archive(*map(file, names))).top))) == set(names)


def test_long_names_come_in_every_way_that_archives_know(anyone: Unpacker) -> None:
    long = b"/".join([b"n" * 90] * 3)
    layer = archive(
        pax_header({"path": long + b"/pax"}) + raw_header(b"short"),
        extension(long + b"/gnu\0", b"L") + raw_header(b"short"),
        raw_header(b"m" * 100, prefix=b"p" * 155),
    )
    shown = tree(anyone.unpack(layer).top)
    assert {path for path, what in shown.items() if what == ""} == {
        f"{long.decode()}/pax",
        f"{long.decode()}/gnu",
        "p" * 155 + "/" + "m" * 100,
    }


def test_global_header_names_nothing(anyone: Unpacker) -> None:
    layer = archive(pax_header({"path": "global", "mtime": "7"}, b"g"), file(b"x", b"1"))
    assert tree(anyone.unpack(layer).top) == {"x": "1"}


def test_unknown_type_is_refused(anyone: Unpacker) -> None:
    assert "type 'Z' is unknown" in anyone.refusal(archive(raw_header(b"x", b"Z")))


def test_error_shows_a_name_without_its_control_characters(anyone: Unpacker) -> None:
    assert anyone.refusal(archive(file(b"../\x1b[2J\nx"))).startswith("../\\x1b[2J\\nx: ")


def test_lower_symlink_as_a_parent_becomes_a_directory_of_the_layer(anyone: Unpacker) -> None:
    base = archive(directory(b"etc/"), file(b"etc/a", b"A"), symlink(b"lnk", b"etc"))
    shown = anyone.shown(base, archive(file(b"lnk/x", b"X")))
    assert shown == {"etc": "dir", "etc/a": "A", "lnk": "dir", "lnk/x": "X"}


def test_symlink_of_the_same_layer_as_a_parent_becomes_a_directory(anyone: Unpacker) -> None:
    stack = anyone.unpack(archive(directory(b"etc/"), symlink(b"lnk", b"etc"), file(b"lnk/deep/x", b"X")))
    assert tree(stack.top) == {"etc": "dir", "lnk": "dir", "lnk/deep": "dir", "lnk/deep/x": "X"}
    assert stack.warnings == ("lnk: it is no directory, but another entry lies in it, so a directory replaces it",)


def test_lower_file_as_a_parent_becomes_a_directory(anyone: Unpacker) -> None:
    assert anyone.shown(archive(file(b"f", b"1")), archive(file(b"f/x/y", b"Y"))) == {
        "f": "dir",
        "f/x": "dir",
        "f/x/y": "Y",
    }
