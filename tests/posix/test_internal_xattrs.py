"""The xattrs in which unions keep their own marks: hidden in layers, escaped when set through a mount.

Source: the kernel's overlayfs documentation, "Nesting overlayfs mounts" and "User xattr"; fuse-overlayfs for
``user.fuseoverlayfs``.
"""

import os
from errno import ENODATA, EPERM

import pytest

from tests.posix.place import Place
from tests.posix.table import UNIONS, errno_of, row
from tests.stacks import Directory, File

MARKS = {
    "trusted.overlay.private": b"1",
    "trusted.overlay.origin": b"2",
    "trusted.overlayfsrz": b"3",
    "user.k": b"4",
}
OWN_MARKS = {"user.overlay.private": b"5", "user.fuseoverlayfs.private": b"6"}
READ_BY_US_ALONE = "overlayfs without userxattr knows trusted.overlay alone"


@row(
    on=UNIONS,
    bottom={"f": File(xattrs=MARKS), "d": Directory(xattrs=MARKS), "m/x": File()},
    middle={"m": Directory(xattrs=MARKS), "m/f": File(xattrs=MARKS)},
    top={"m": Directory(xattrs=MARKS), "m/y": File()},
)
def test_a_layers_own_marks_are_neither_listed_nor_read(place: Place) -> None:
    for name in ("f", "d", "m", "m/f"):
        assert sorted(os.listxattr(place / name)) == ["trusted.overlayfsrz", "user.k"]
        assert errno_of(os.getxattr, place / name, "trusted.overlay.private") == ENODATA
        assert os.getxattr(place / name, "trusted.overlayfsrz") == b"3"


@row(
    on=UNIONS,
    bottom={"f": File(xattrs={**OWN_MARKS, "user.k": b""})},
    expected={"kernel": 0, "default": ENODATA},
    because=READ_BY_US_ALONE,
)
def test_marks_of_fuse_overlayfs_and_of_unprivileged_overlayfs_are_hidden_too(place: Place) -> None:
    hidden = set() if place.is_on("kernel") else set(OWN_MARKS)
    assert set(os.listxattr(place / "f")) == {*OWN_MARKS, "user.k"} - hidden
    for name in OWN_MARKS:
        assert errno_of(os.getxattr, place / "f", name) == place.expected


@row(
    on=UNIONS,
    bottom={"f": File(xattrs={"trusted.overlay.overlay.opaque": b"inner"}), "d/x": File()},
    middle={"d": Directory(xattrs={"trusted.overlay.overlay.opaque": b"y"})},
    kernel=(6, 7),
)
def test_an_escaped_mark_is_shown_unescaped_and_does_not_act(place: Place) -> None:
    assert os.listxattr(place / "f") == ["trusted.overlay.opaque"]
    assert os.getxattr(place / "f", "trusted.overlay.opaque") == b"inner"
    assert os.getxattr(place / "d", "trusted.overlay.opaque") == b"y"
    assert place.names("d") == ["x"]


@row(own=True, bottom={"f": File(), "d/low": File()}, kernel=(6, 7))
def test_a_mark_set_through_the_mount_is_an_ordinary_xattr(place: Place) -> None:
    for name in ("f", "d"):
        os.setxattr(place / name, "trusted.overlay.opaque", b"y")
        os.setxattr(place / name, "trusted.overlay.overlay.deep", b"z")
    place.remount()
    for name in ("f", "d"):
        assert sorted(os.listxattr(place / name)) == [
            "trusted.overlay.opaque",
            "trusted.overlay.overlay.deep",
        ]
        assert os.getxattr(place / name, "trusted.overlay.opaque") == b"y"
    assert place.names("d") == ["low"]
    os.removexattr(place / "f", "trusted.overlay.opaque")
    assert os.listxattr(place / "f") == ["trusted.overlay.overlay.deep"]
    assert errno_of(os.removexattr, place / "f", "trusted.overlay.opaque") == ENODATA


@row(on=UNIONS, bottom={"f": File()}, kernel=(6, 7))
def test_a_mark_set_through_the_mount_lies_escaped_on_disk(place: Place) -> None:
    os.setxattr(place / "f", "trusted.overlay.metacopy", b"mine")
    assert os.getxattr(place.upper / "f", "trusted.overlay.overlay.metacopy") == b"mine"
    assert "trusted.overlay.metacopy" not in os.listxattr(place.upper / "f")


@pytest.mark.parametrize("mark", ["user.overlay.opaque", "user.fuseoverlayfs.opaque", "user.containers.override_stat"])
@row(own=True, bottom={"d/low": File(), "f": File(b"x", mode=0o600)})
def test_no_mark_set_through_the_mount_acts(place: Place, mark: str) -> None:
    value = b"7:7:4755:file" if mark.endswith("override_stat") else b"y"
    for name in ("d", "f"):
        refused = errno_of(os.setxattr, place / name, mark, value)
        assert refused in {0, EPERM}
        if not refused:
            assert os.getxattr(place / name, mark) == value
    place.remount()
    assert place.names("d") == ["low"]
    found = (place / "f").stat()
    assert (found.st_mode & 0o7777, found.st_uid) == (0o600, 0)


@row(on=UNIONS, bottom={"f": File(b"x", xattrs=MARKS)}, middle={"d": Directory(xattrs=MARKS)})
def test_copy_up_does_not_carry_a_layers_marks_to_the_upper(place: Place) -> None:
    for name in ("f", "d"):
        (place / name).chmod(0o700)
        kept = os.listxattr(place.upper / name)
        assert "trusted.overlay.private" not in kept
        assert {"trusted.overlayfsrz", "user.k"} <= set(kept)


@row(bottom={"f": File()})
def test_trusted_xattrs_of_others_are_set_and_read(place: Place) -> None:
    os.setxattr(place / "f", "trusted.overlayz", b"v")
    assert os.getxattr(place / "f", "trusted.overlayz") == b"v"
    assert os.listxattr(place / "f") == ["trusted.overlayz"]
