"""Extended attributes: flags, sizes, names, and who sees them.

Sources: setxattr(2), getxattr(2), listxattr(2), xattr(7).
"""

import os
from errno import E2BIG, EEXIST, EINVAL, ENODATA, ENOSPC, EOPNOTSUPP, EPERM, ERANGE
from functools import partial

import pytest

from tests.posix.place import Place
from tests.posix.processes import as_user
from tests.posix.syscalls import getxattr_size, listxattr_size
from tests.posix.table import errno_of, row
from tests.stacks import Directory, Fifo, File, Layer, Symlink

KINDS: Layer = {"f": File(xattrs={"user.k": b"low"}), "d": Directory(xattrs={"user.k": b"low"})}
USER = 1234


@pytest.mark.parametrize("name", ["f", "d", "u"])
@row(bottom=KINDS, upper={"u": File(xattrs={"user.k": b"low"})})
def test_flags_say_whether_a_name_may_or_must_exist(place: Place, name: str) -> None:
    path = place / name
    assert errno_of(os.setxattr, path, "user.k", b"x", os.XATTR_CREATE) == EEXIST
    assert errno_of(os.setxattr, path, "user.none", b"x", os.XATTR_REPLACE) == ENODATA
    assert errno_of(os.setxattr, path, "user.k", b"x", 8) == EINVAL
    assert os.getxattr(path, "user.k") == b"low"
    os.setxattr(path, "user.k", b"replaced", os.XATTR_REPLACE)
    os.setxattr(path, "user.new", b"created", os.XATTR_CREATE)
    assert os.getxattr(path, "user.k") == b"replaced"
    assert sorted(os.listxattr(path)) == ["user.k", "user.new"]
    os.removexattr(path, "user.k")
    assert errno_of(os.removexattr, path, "user.k") == ENODATA
    assert errno_of(os.getxattr, path, "user.k") == ENODATA
    assert os.listxattr(path) == ["user.new"]


@row(bottom=KINDS)
def test_values_are_bytes_of_any_length_a_file_system_takes(place: Place) -> None:
    for value in (b"", b"\0", bytes(range(256)), b"x" * 2000):
        os.setxattr(place / "f", "user.v", value)
        assert os.getxattr(place / "f", "user.v") == value
    assert errno_of(os.setxattr, place / "f", "user.big", b"x" * 65536) in {0, ENOSPC, E2BIG}
    assert errno_of(os.setxattr, place / "f", "user.big", b"x" * 65537) == E2BIG


@row(bottom=KINDS)
def test_names_have_255_bytes_at_most_and_a_known_namespace(place: Place) -> None:
    longest = "user." + "n" * 250
    os.setxattr(place / "f", longest, b"v")
    assert os.getxattr(place / "f", longest) == b"v"
    assert errno_of(os.setxattr, place / "f", longest + "n", b"v") == ERANGE
    assert errno_of(os.setxattr, place / "f", "user.", b"v") == EINVAL
    assert errno_of(os.setxattr, place / "f", "unknown.k", b"v") == EOPNOTSUPP
    assert errno_of(os.getxattr, place / "f", "unknown.k") in {EOPNOTSUPP, ENODATA}
    assert errno_of(os.setxattr, place / "f", "plain", b"v") == EOPNOTSUPP


@row(bottom=KINDS)
def test_a_size_is_told_and_a_small_buffer_refused(place: Place) -> None:
    assert getxattr_size(place / "f", "user.k", 0) == 3
    assert getxattr_size(place / "f", "user.k", 3) == 3
    assert errno_of(getxattr_size, place / "f", "user.k", 2) == ERANGE
    assert listxattr_size(place / "f", 0) == len(b"user.k\0")
    assert errno_of(listxattr_size, place / "f", 3) == ERANGE


@row(bottom={"link": Symlink("f"), "fifo": Fifo(), "f": File()})
def test_user_xattrs_are_for_files_and_directories_alone(place: Place) -> None:
    assert errno_of(os.setxattr, place / "link", "user.k", b"v", follow_symlinks=False) == EPERM
    assert errno_of(os.setxattr, place / "fifo", "user.k", b"v") == EPERM
    os.setxattr(place / "link", "trusted.k", b"v", follow_symlinks=False)
    assert os.listxattr(place / "link", follow_symlinks=False) == ["trusted.k"]
    assert os.listxattr(place / "f") == []
    os.setxattr(place / "fifo", "trusted.k", b"v")
    assert os.getxattr(place / "fifo", "trusted.k") == b"v"


@row(bottom={"f": File(uid=USER, xattrs={"trusted.secret": b"s", "user.k": b"v"})}, upper={
    "u": File(uid=USER, xattrs={"trusted.secret": b"s", "user.k": b"v"})})  # fmt: skip
def test_trusted_xattrs_are_hidden_from_ordinary_users(place: Place) -> None:
    for name in ("f", "u"):
        path = place / name
        assert sorted(os.listxattr(path)) == ["trusted.secret", "user.k"]
        assert as_user(partial(os.listxattr, path), uid=USER) == ["user.k"]
        assert as_user(partial(errno_of, os.getxattr, path, "trusted.secret"), uid=USER) == ENODATA
        assert as_user(partial(errno_of, os.setxattr, path, "trusted.x", b""), uid=USER) == EPERM
        assert as_user(partial(errno_of, os.removexattr, path, "trusted.secret"), uid=USER) == EPERM
        assert as_user(partial(errno_of, os.setxattr, path, "user.x", b""), uid=USER) == 0


@row(bottom={"f": File(mode=0o600, xattrs={"user.k": b"v"}), "g": File(mode=0o644, xattrs={"user.k": b"v"})})
def test_user_xattrs_are_guarded_by_the_mode(place: Place) -> None:
    assert as_user(partial(errno_of, os.getxattr, place / "f", "user.k")) != 0
    assert as_user(lambda: os.getxattr(place / "g", "user.k")) == b"v"
    assert as_user(partial(errno_of, os.setxattr, place / "g", "user.k", b"x")) != 0
    assert as_user(partial(errno_of, os.setxattr, place / "g", "security.x", b"x")) == EPERM


@row(bottom={"f": File(xattrs={f"user.{number:03}": b"v" for number in range(100)})})
def test_many_xattrs_are_listed_and_copied_up(place: Place) -> None:
    expected = [f"user.{number:03}" for number in range(100)]
    assert sorted(os.listxattr(place / "f")) == expected
    (place / "f").chmod(0o600)
    assert sorted(os.listxattr(place / "f")) == expected
    assert os.getxattr(place / "f", "user.099") == b"v"


@row(bottom={"f": File(xattrs={"security.other": b"s"})})
def test_security_xattrs_are_kept_and_set(place: Place) -> None:
    assert os.getxattr(place / "f", "security.other") == b"s"
    os.setxattr(place / "f", "security.new", b"n")
    assert sorted(os.listxattr(place / "f")) == ["security.new", "security.other"]
