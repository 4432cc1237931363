"""The forms in which a layer says that a name is absent or a directory opaque.

Sources: the kernel's overlayfs documentation (character device 0:0, the xattr forms), fuse-overlayfs
(``.wh.`` files, ``user.fuseoverlayfs.opaque``), the OCI image specification (an opaque root).
"""

import os
import stat
from errno import ENOENT, ENOTEMPTY

import pytest

from tests.posix.place import Place
from tests.posix.table import UNIONS, errno_of, row
from tests.stacks import (
    DOT_OPAQUE,
    HOLDS_XATTR_WHITEOUTS,
    OPAQUE,
    WHITEOUT,
    WHITEOUT_XATTR,
    XATTR_WHITEOUT,
    Device,
    Directory,
    File,
    Symlink,
)

NOT_IN_THE_KERNEL = "overlayfs doesn't know this form and shows the layer as it lies"


@row(
    bottom={"d/gone": File(b"x"), "d/kept": File(b"y")},
    middle={"d": HOLDS_XATTR_WHITEOUTS, "d/gone": XATTR_WHITEOUT, "d/never": XATTR_WHITEOUT},
    kernel=(6, 7),
)
def test_the_xattr_form_hides_a_name_in_a_directory_marked_x(place: Place) -> None:
    assert place.names("d") == ["kept"]
    for name in ("gone", "never"):
        with pytest.raises(FileNotFoundError):
            os.lstat(place / "d" / name)


@row(
    bottom={"d/gone": File(b"x")},
    middle={"d": HOLDS_XATTR_WHITEOUTS, "d/gone": XATTR_WHITEOUT},
    top={"d/gone": File(b"back"), "d/mine": File()},
    kernel=(6, 7),
)
def test_the_xattr_form_works_in_a_middle_layer(place: Place) -> None:
    assert place.names("d") == ["gone", "mine"]
    assert (place / "d/gone").read_bytes() == b"back"


@row(
    own=True,
    bottom={"d/gone": File(b"x")},
    middle={"d": HOLDS_XATTR_WHITEOUTS, "d/gone": XATTR_WHITEOUT},
    kernel=(6, 7),
    expected={"kernel": ENOTEMPTY, "default": 0},
    because="overlayfs forgets the xattr form when it looks whether a directory is empty",
)
def test_a_directory_whose_names_are_all_hidden_by_the_xattr_form_is_empty(place: Place) -> None:
    assert place.names("d") == []
    assert errno_of(os.rmdir, place / "d") == place.expected


@row(
    bottom={"d/low": File()},
    middle={"d": HOLDS_XATTR_WHITEOUTS, "d/own": File(xattrs={WHITEOUT_XATTR: b"y"}, content=b"bytes")},
    on=UNIONS,
    kernel=(6, 7),
)
def test_a_file_with_content_is_no_whiteout_whatever_its_xattr(place: Place) -> None:
    assert place.names("d") == ["low", "own"]
    assert (place / "d/own").read_bytes() == b"bytes"


@row(
    bottom={"d/low": File()},
    middle={"d": Directory(), "d/own": XATTR_WHITEOUT},
    own=True,
    on=UNIONS,
    kernel=(6, 7),
    expected={"kernel": ENOENT, "ours": 0},
    because="overlayfs lists the file and then doesn't find it; its documentation asks for the mark",
)
def test_the_xattr_form_means_nothing_in_a_directory_not_marked(place: Place) -> None:
    assert place.names("d") == ["low", "own"]
    assert errno_of(os.lstat, place / "d/own") == place.expected


@row(
    bottom={"d/gone": File(), "d/kept": File(), "tree/x": File()},
    middle={"d/.wh.gone": File(), "d/.wh.never": File(), ".wh.tree": File()},
    expected={"kernel": [".wh.gone", ".wh.never", "gone", "kept"], "default": ["kept"]},
    because=NOT_IN_THE_KERNEL,
)
def test_wh_files_hide_their_names_and_are_not_shown(place: Place) -> None:
    assert place.names("d") == place.expected
    assert os.path.lexists(place / "d/gone") == place.is_on("kernel")
    assert os.path.lexists(place / "tree") == place.is_on("kernel")
    assert os.path.lexists(place / "d/.wh.gone") == place.is_on("kernel")


@row(
    bottom={"d/f": File(b"low")},
    middle={"d/.wh.f": File(), "d/f": File(b"own")},
    expected={"kernel": [".wh.f", "f"], "default": ["f"]},
    because=NOT_IN_THE_KERNEL,
)
def test_a_wh_file_does_not_hide_its_own_layers_file(place: Place) -> None:
    assert place.names("d") == place.expected
    assert (place / "d/f").read_bytes() == b"own"


@row(
    bottom={"d/sub/low": File()},
    middle={"d/.wh.sub": File(), "d/sub/own": File()},
    expected={"kernel": ["low", "own"], "default": ["own"]},
    because=NOT_IN_THE_KERNEL,
)
def test_a_wh_file_beside_its_directory_makes_the_directory_opaque(place: Place) -> None:
    assert place.names("d/sub") == place.expected


@row(
    bottom={"d/low": File(), "d/sub/low": File()},
    middle={f"d/{DOT_OPAQUE}": File(), "d/own": File()},
    top={"d/high": File()},
    expected={"kernel": [DOT_OPAQUE, "high", "low", "own", "sub"], "default": ["high", "own"]},
    because=NOT_IN_THE_KERNEL,
)
def test_the_opaque_wh_file_hides_what_lies_beneath(place: Place) -> None:
    assert place.names("d") == place.expected


@row(
    bottom={"d/low": File()},
    middle={"d": Directory(xattrs={"user.overlay.opaque": b"y"}), "d/own": File()},
    expected={"kernel": ["low", "own"], "default": ["own"]},
    because="overlayfs reads user.overlay only when mounted with userxattr",
)
def test_user_overlay_opaque_hides_what_lies_beneath(place: Place) -> None:
    assert place.names("d") == place.expected


@row(
    bottom={"d/low": File()},
    middle={"d": Directory(xattrs={"user.fuseoverlayfs.opaque": b"y"}), "d/own": File()},
    expected={"kernel": ["low", "own"], "default": ["own"]},
    because=NOT_IN_THE_KERNEL,
)
def test_user_fuseoverlayfs_opaque_hides_what_lies_beneath(place: Place) -> None:
    assert place.names("d") == place.expected


@row(
    own=True,
    bottom={"low": File(), "d/low": File()},
    middle={".": OPAQUE, "own": File(), "d/own": File()},
    top={"high": File()},
    expected={"kernel": ["d", "high", "low", "own"], "default": ["d", "high", "own"]},
    because="overlayfs doesn't read the mark of a layer's root; the image specification says it counts",
)
def test_an_opaque_layer_root_hides_every_layer_beneath(place: Place) -> None:
    assert place.names() == place.expected
    assert place.names("d") == (["low", "own"] if place.is_on("kernel") else ["own"])


@row(
    own=True,
    bottom={"low": File()},
    middle={DOT_OPAQUE: File(), "own": File()},
    expected={"kernel": [DOT_OPAQUE, "low", "own"], "default": ["own"]},
    because=NOT_IN_THE_KERNEL,
)
def test_the_opaque_wh_file_in_a_layer_root_hides_every_layer_beneath(place: Place) -> None:
    assert place.names() == place.expected


@row(
    bottom={"c": File(), "d/low": File()},
    middle={
        "c": Device(stat.S_IFCHR, 0, 1),
        "d": Symlink("nowhere", xattrs={"trusted.overlay.opaque": b"y"}),
    },
)
def test_other_devices_and_marked_symlinks_are_ordinary(place: Place) -> None:
    assert os.lstat(place / "c").st_rdev == os.makedev(0, 1)
    assert os.readlink(place / "d") == "nowhere"


@row(
    bottom={"f": File(b"low"), "d/low": File()},
    middle={"f": File(b"own", xattrs={"trusted.overlay.opaque": b"y"})},
    on=UNIONS,
)
def test_an_opaque_mark_on_a_file_means_nothing(place: Place) -> None:
    assert (place / "f").read_bytes() == b"own"
    assert os.listxattr(place / "f") == []


@row(
    bottom={f"{number:03}": File() for number in range(300)},
    middle={f"{number:03}": WHITEOUT for number in range(0, 300, 2)},
)
def test_many_whiteouts_in_one_directory_hide_just_their_names(place: Place) -> None:
    assert place.names() == [f"{number:03}" for number in range(1, 300, 2)]
