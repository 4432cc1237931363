"""What a stack of layers shows: names, types and attributes, before anything is changed.

Source: the kernel's overlayfs documentation, "Upper and Lower" and "whiteouts and opaque directories".
"""

import os
import stat

import pytest

from tests.posix.place import Place
from tests.posix.table import UNIONS, row
from tests.stacks import OPAQUE, WHITEOUT, Device, Directory, Fifo, File, HardLink, Layer, Socket, Symlink

ONE_OF_EACH: Layer = {
    "file": File(b"x"),
    "dir": Directory(),
    "link": Symlink("file"),
    "fifo": Fifo(),
    "socket": Socket(),
    "char": Device(stat.S_IFCHR, 1, 7),
    "block": Device(stat.S_IFBLK, 7, 4321),
}


@row(bottom={"f": File(b"bottom")}, middle={"f": File(b"middle")}, top={"f": File(b"top")})
def test_a_file_is_that_of_the_highest_layer(place: Place) -> None:
    assert (place / "f").read_bytes() == b"top"


@row(
    bottom={"d/a": File(), "d/both": File(b"bottom"), "d/sub/x": File()},
    middle={"d/both": File(b"middle"), "d/m": File()},
    top={"d/sub/y": File()},
    upper={"d/u": File()},
)
def test_directories_merge_and_list_each_name_once(place: Place) -> None:
    assert place.names("d") == ["a", "both", "m", "sub", "u"]
    assert place.names("d/sub") == ["x", "y"]
    assert (place / "d/both").read_bytes() == b"middle"


@row(
    bottom={"d": Directory(mode=0o700, uid=1, gid=2, xattrs={"user.low": b"1"}), "d/a": File()},
    middle={"d": Directory(mode=0o1751, uid=3, gid=4, mtime_ns=5_000_000_006, xattrs={"user.high": b"2"})},
)
def test_a_merged_directory_has_the_attributes_of_the_topmost_alone(place: Place) -> None:
    found = (place / "d").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o1751, 3, 4)
    assert found.st_mtime_ns == 5_000_000_006
    assert os.listxattr(place / "d") == ["user.high"]
    assert place.names("d") == ["a"]


@row(bottom={"d/a": File(), "d/b/c": File()}, middle={"d": File(b"file")})
def test_a_file_above_a_directory_hides_the_whole_tree(place: Place) -> None:
    assert (place / "d").read_bytes() == b"file"
    with pytest.raises(NotADirectoryError):
        os.stat(place / "d/a")


@row(bottom={"d/low": File()}, middle={"d": File(b"file")}, top={"d/high": File()})
def test_a_directory_above_a_file_does_not_merge_past_it(place: Place) -> None:
    assert place.names("d") == ["high"]


@row(bottom={"d/low": File()}, middle={"d": Symlink("elsewhere")}, top={"d/high": File()})
def test_a_directory_above_a_symlink_neither_follows_it_nor_merges_past_it(place: Place) -> None:
    assert place.names("d") == ["high"]
    assert place.names() == ["d"]


@row(bottom={"target/low": File(), "d/low": File()}, middle={"d": Symlink("target")})
def test_a_symlink_above_a_directory_replaces_it(place: Place) -> None:
    assert os.readlink(place / "d") == "target"
    assert place.names("d") == ["low"]
    assert (place / "d").is_symlink()


@row(bottom=ONE_OF_EACH)
def test_every_kind_of_file_is_shown_as_it_is(place: Place) -> None:
    kinds = {name: stat.filemode(os.lstat(place / name).st_mode)[0] for name in place.names()}
    assert kinds == {
        "file": "-", "dir": "d", "link": "l", "fifo": "p", "socket": "s", "char": "c", "block": "b",
    }  # fmt: skip
    assert os.lstat(place / "char").st_rdev == os.makedev(1, 7)
    assert os.lstat(place / "block").st_rdev == os.makedev(7, 4321)
    assert os.readlink(place / "link") == "file"


@row(
    bottom={"gone": File(b"x"), "tree/a": File(), "tree/b/c": File(), "kept": File()},
    middle={"gone": WHITEOUT, "tree": WHITEOUT},
)
def test_a_whiteout_hides_its_name_and_all_beneath_it(place: Place) -> None:
    assert place.names() == ["kept"]
    with pytest.raises(FileNotFoundError):
        os.lstat(place / "gone")
    with pytest.raises(FileNotFoundError):
        os.lstat(place / "tree/a")


@row(bottom={"f": File(b"low"), "other": File()}, middle={"f": WHITEOUT}, top={"f": File(b"new")})
def test_a_file_above_a_whiteout_is_shown(place: Place) -> None:
    assert (place / "f").read_bytes() == b"new"


@row(bottom={"d/nothing": WHITEOUT, "d/kept": File()}, top={"d/high": File()})
def test_a_whiteout_in_the_lowest_layer_is_not_shown_either(place: Place) -> None:
    assert place.names("d") == ["high", "kept"]
    with pytest.raises(FileNotFoundError):
        os.lstat(place / "d/nothing")


@row(
    own=True,
    bottom={"d/nothing": WHITEOUT, "d/kept": File()},
    expected={"kernel": ["kept", "nothing"], "default": ["kept"]},
    because="overlayfs lists a directory that lies in one layer alone as it is, whiteouts included",
)
def test_a_whiteout_in_a_directory_of_one_layer_is_not_shown_either(place: Place) -> None:
    assert place.names("d") == place.expected
    with pytest.raises(FileNotFoundError):
        os.lstat(place / "d/nothing")


@row(bottom={"d/low": File()}, middle={"d": WHITEOUT}, upper={"d/mine": File()})
def test_a_directory_above_a_whiteout_shows_only_its_own(place: Place) -> None:
    assert place.names("d") == ["mine"]


@row(bottom={"d/low": File(b"low")}, middle={"d": WHITEOUT}, top={"d": Directory()})
def test_a_middle_whiteout_ends_the_merge_below_it(place: Place) -> None:
    assert place.names("d") == []


@row(
    bottom={"d/low": File(), "d/sub/low": File()},
    middle={"d": OPAQUE, "d/own": File(), "d/sub/own": File()},
    top={"d/high": File()},
)
def test_an_opaque_directory_hides_what_lies_beneath_but_merges_with_what_lies_above(place: Place) -> None:
    assert place.names("d") == ["high", "own", "sub"]
    assert place.names("d/sub") == ["own"]
    with pytest.raises(FileNotFoundError):
        os.lstat(place / "d/low")


@row(
    bottom={"a/low": File(), "a/b/low": File()},
    middle={"a": OPAQUE, "a/b": OPAQUE, "a/b/own": File()},
    upper={"a/b": Directory()},
)
def test_opaque_directories_nest(place: Place) -> None:
    assert place.names("a") == ["b"]
    assert place.names("a/b") == ["own"]


@row(bottom={"a/b/low": File()}, middle={"a": OPAQUE, "a/x": File()}, top={"a/b/high": File()})
def test_a_directory_does_not_merge_past_its_opaque_parent(place: Place) -> None:
    assert place.names("a") == ["b", "x"]
    assert place.names("a/b") == ["high"]


NOT_OPAQUE = {"no": b"n", "empty": b"", "capital": b"Y", "word": b"yes", "one": b"1"}


@row(
    bottom={f"{name}/low": File() for name in NOT_OPAQUE},
    middle={
        name: Directory(xattrs={"trusted.overlay.opaque": value, "user.fuseoverlayfs.opaque": value})
        for name, value in NOT_OPAQUE.items()
    },
    on=UNIONS,
)
def test_values_other_than_y_do_not_make_a_directory_opaque(place: Place) -> None:
    assert {name: place.names(name) for name in NOT_OPAQUE} == {name: ["low"] for name in NOT_OPAQUE}


@row(bottom={"a": File(b"linked"), "b": HardLink("a")}, middle={"b": File(b"other")})
def test_a_hard_link_hidden_under_one_name_is_whole_under_the_other(place: Place) -> None:
    assert (place / "a").read_bytes() == b"linked"
    assert (place / "b").read_bytes() == b"other"
