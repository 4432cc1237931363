"""What a layer says of an entry in private attributes, in the kernel's and fuse-overlayfs's spelling."""

import os
import stat
from pathlib import Path

import pytest

from unionfs.layer import marks
from unionfs.layer.marks import NO_MARKS, Marks, is_xattr_whiteout, read_marks
from unionfs.layer.ownership import Ownership


def marked(tmp_path: Path, **xattrs: bytes) -> Marks:
    """Read the marks of a directory with these attributes; ``__`` stands for a dot."""
    for name, value in xattrs.items():
        os.setxattr(tmp_path, name.replace("__", "."), value)
    return read_marks(os.fsencode(tmp_path))


def test_an_ordinary_entry_has_none_and_costs_one_call(tmp_path: Path) -> None:
    assert marked(tmp_path) is NO_MARKS
    assert marked(tmp_path, user__mine=b"1", trusted__theirs=b"2") == Marks(others=True)


@pytest.mark.parametrize("name", ["trusted__overlay__opaque", "user__overlay__opaque", "user__fuseoverlayfs__opaque"])
def test_the_opaque_mark_has_three_names_and_two_values(tmp_path: Path, name: str) -> None:
    assert marked(tmp_path, **{name: b"y"}) == Marks(opaque=True)
    assert marked(tmp_path, **{name: b"x"}) == Marks(xattr_whiteouts=True)
    for value in (b"", b"n", b"yes", b"Y"):
        assert marked(tmp_path, **{name: value}) == Marks()


@pytest.mark.parametrize("prefix", ["trusted__overlay__", "user__overlay__"])
def test_redirect_metacopy_and_origin_are_read_in_both_namespaces(tmp_path: Path, prefix: str) -> None:
    xattrs = {f"{prefix}redirect": b"/a/b", f"{prefix}metacopy": b"", f"{prefix}unionfs.origin": b"17"}
    assert marked(tmp_path, **xattrs) == Marks(redirect=b"/a/b", metacopy=True, origin=b"17")


def test_the_trusted_one_of_two_marks_counts(tmp_path: Path) -> None:
    found = marked(tmp_path, user__overlay__redirect=b"/user", trusted__overlay__redirect=b"/trusted")
    assert found.redirect == b"/trusted"


def test_a_mark_that_a_program_in_a_mount_set_is_none(tmp_path: Path) -> None:
    assert marked(tmp_path, trusted__overlay__overlay__opaque=b"y", user__overlay__overlay__redirect=b"/x") == Marks(
        others=True
    )


def test_an_entry_with_marks_alone_has_no_other_attributes(tmp_path: Path) -> None:
    assert not marked(tmp_path, trusted__overlay__opaque=b"y", user__containers__override_stat=b"5:6:0711").others
    assert marked(tmp_path, trusted__overlay__opaque=b"y", user__mine=b"1").others


def test_an_owner_that_was_recorded_is_read(tmp_path: Path) -> None:
    found = marked(tmp_path, user__containers__override_stat=b"5:6:0711:dir")
    assert found.ownership == Ownership(5, 6, 0o711, stat.S_IFDIR)


def test_of_the_three_names_of_a_record_the_one_that_counts_to_fuse_overlayfs_counts(tmp_path: Path) -> None:
    assert marked(tmp_path, user__fuseoverlayfs__override_stat=b"1:1:0711").ownership == Ownership(1, 1, 0o711)
    assert marked(tmp_path, user__containers__override_stat=b"2:2:0711").ownership == Ownership(2, 2, 0o711)
    found = marked(tmp_path, security__fuseoverlayfs__override_stat=b"3:3:0711")
    assert (found.ownership, found.others) == (Ownership(3, 3, 0o711), False)


@pytest.mark.parametrize("redirect", [b"name", b"/a", b"/a/b/c", b"/" + b"x" * (marks.REDIRECT_MAX - 1)])
def test_a_redirect_is_a_path_from_the_root_or_one_name(tmp_path: Path, redirect: bytes) -> None:
    assert marked(tmp_path, trusted__overlay__redirect=redirect).redirect == redirect


def test_a_file_with_the_whiteout_attribute_may_be_one(tmp_path: Path) -> None:
    for name, attribute in (("a", "trusted.overlay.whiteout"), ("b", "user.overlay.whiteout"), ("c", "user.other")):
        (tmp_path / name).touch()
        os.setxattr(tmp_path / name, attribute, b"")
    assert [is_xattr_whiteout(os.fsencode(tmp_path / name)) for name in "abc"] == [True, True, False]
