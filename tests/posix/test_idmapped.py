"""A mount seen through a clone of it that maps ids: each is shown, and kept, as the map says.

Sources: mount_setattr(2), MOUNT_ATTR_IDMAP; the kernel's documentation of idmappings.
"""

import os
import stat
from collections.abc import Callable
from errno import EACCES, EINVAL, EOVERFLOW, EPERM
from pathlib import Path

import pytest

from tests.posix.acl import ACCESS, READ, WRITE, acl
from tests.posix.idmap import COUNT, SHIFT, mapped_view
from tests.posix.place import Place
from tests.posix.processes import as_user
from tests.posix.syscalls import FALLOC_KEEP_SIZE, fallocate
from tests.posix.table import errno_of, row
from tests.stacks import Directory, File, Layer, Symlink

BOTTOM: Layer = {
    "d": Directory(mode=0o777),
    "root": File(b"root's"),
    "five": File(b"five's", uid=5, gid=6, mode=0o640),
    "link": Symlink("five", uid=7, gid=8),
    "program": File(b"x" * 8192, uid=5, gid=5, mode=0o6775),
    "far": File(b"far", uid=COUNT, gid=COUNT, mode=0o666),
}
ON = ("plain", "kernel-protocol")
SINCE_6_12 = pytest.mark.skipif(
    tuple(map(int, os.uname().release.split(".")[:2])) < (6, 12), reason="FUSE maps no ids before Linux 6.12"
)
NOBODY_SHOWN = 65534
FIVE = SHIFT + 5


def owner(path: Path) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_uid, found.st_gid


@row(
    bottom=BOTTOM,
    expected={"plain": 0, "kernel-protocol": 0, "default": EINVAL},
    because="overlayfs lets nobody map its own mounts, and pyfuse3 doesn't tell the kernel that it may",
)
@SINCE_6_12
def test_ids_are_mapped_or_the_mount_says_no(place: Place) -> None:
    def show() -> None:
        with mapped_view(place.path) as view:
            assert owner(view / "five") == (SHIFT + 5, SHIFT + 6)

    assert errno_of(show) == place.expected


@row(bottom=BOTTOM, on=ON)
@SINCE_6_12
def test_owners_are_shown_as_the_map_says(place: Place) -> None:
    with mapped_view(place.path) as view:
        assert owner(view / "root") == (SHIFT, SHIFT)
        assert owner(view / "five") == (SHIFT + 5, SHIFT + 6)
        assert owner(view / "link") == (SHIFT + 7, SHIFT + 8)
        assert owner(view / "far") == (NOBODY_SHOWN, NOBODY_SHOWN)
    assert owner(place / "five") == (5, 6)


CREATED: dict[str, Callable[[Path], object]] = {
    "file": Path.touch,
    "directory": Path.mkdir,
    "symbolic link": lambda path: path.symlink_to("five"),
    "fifo": os.mkfifo,
    "socket": lambda path: os.mknod(path, stat.S_IFSOCK | 0o644),
}


@pytest.mark.parametrize("create", CREATED.values(), ids=CREATED.keys())
@row(bottom=BOTTOM, on=ON)
@SINCE_6_12
def test_what_is_made_belongs_to_the_caller_as_the_map_says(place: Place, create: Callable[[Path], object]) -> None:
    with mapped_view(place.path) as view:
        as_user(lambda: create(view / "d/new"), uid=FIVE, gid=SHIFT + 6)
        assert owner(view / "d/new") == (SHIFT + 5, SHIFT + 6)
    assert owner(place / "d/new") == (5, 6)
    if place.is_on("union"):
        assert owner(place.upper / "d/new") == (5, 6)


@row(bottom=BOTTOM, on=ON)
@SINCE_6_12
def test_a_file_without_a_name_belongs_to_the_caller_as_the_map_says(place: Place) -> None:
    def make() -> int:
        descriptor = os.open(view / "d", os.O_TMPFILE | os.O_RDWR, 0o600)
        try:
            return os.fstat(descriptor).st_uid
        finally:
            os.close(descriptor)

    with mapped_view(place.path) as view:
        assert as_user(make, uid=FIVE, gid=FIVE) == FIVE


@row(bottom=BOTTOM, on=ON)
@SINCE_6_12
def test_a_caller_whom_the_map_lacks_makes_nothing(place: Place) -> None:
    with mapped_view(place.path) as view:
        for create in CREATED.values():
            assert as_user(lambda create=create: errno_of(create, view / "d/new"), uid=5, gid=5) == EOVERFLOW  # type: ignore[misc] # a default binds the loop's value
        assert os.listdir(view / "d") == []


@row(bottom=BOTTOM, on=ON)
@SINCE_6_12
def test_owners_are_changed_as_the_map_says(place: Place) -> None:
    with mapped_view(place.path) as view:
        os.chown(view / "five", SHIFT + 7, SHIFT + 8)
        os.chown(view / "link", SHIFT + 9, -1, follow_symlinks=False)
        assert errno_of(os.chown, view / "root", 7, 8) in {EINVAL, EOVERFLOW}
        assert owner(view / "five") == (SHIFT + 7, SHIFT + 8)
    assert owner(place / "five") == (7, 8)
    assert owner(place / "link") == (9, 8)
    assert owner(place / "root") == (0, 0)


@row(bottom=BOTTOM, on=ON)
@SINCE_6_12
def test_permission_goes_by_the_mapped_owner(place: Place) -> None:
    with mapped_view(place.path) as view:
        path = view / "five"
        assert as_user(path.read_bytes, uid=FIVE, gid=FIVE) == b"five's"
        assert as_user(lambda: errno_of(path.read_bytes), uid=5, gid=6) == EACCES
        as_user(lambda: path.chmod(0o600), uid=FIVE, gid=FIVE)
        assert as_user(lambda: errno_of(path.chmod, 0o666), uid=SHIFT + 7, gid=SHIFT + 6) == EPERM
    assert stat.S_IMODE((place / "five").stat().st_mode) == 0o600


def _write(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"new")


def _allocate(path: Path) -> None:
    with path.open("r+b") as file:
        fallocate(file.fileno(), FALLOC_KEEP_SIZE, 0, 65536)


def _copy_within(path: Path) -> None:
    with path.open("r+b") as file:
        assert os.copy_file_range(file.fileno(), file.fileno(), 100, 0, 4096) == 100


CHANGES: dict[str, Callable[[Path], object]] = {
    "writing": _write,
    "truncating": lambda path: os.truncate(path, 10),
    "allocating": _allocate,
    "copying within it": _copy_within,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@row(bottom=BOTTOM, on=ON)
@SINCE_6_12
def test_only_the_privileged_change_content_and_leave_set_id_bits(
    place: Place, change: Callable[[Path], object]
) -> None:
    with mapped_view(place.path) as view:
        change(view / "program")
        assert stat.S_IMODE((view / "program").stat().st_mode) == 0o6775
        as_user(lambda: change(view / "program"), uid=FIVE, gid=FIVE)
        assert stat.S_IMODE((view / "program").stat().st_mode) == 0o775
    assert stat.S_IMODE((place / "program").stat().st_mode) == 0o775


@row(bottom=BOTTOM, on=ON)
@SINCE_6_12
def test_access_lists_name_users_as_the_map_says(place: Place) -> None:
    def of(uid: int, gid: int) -> bytes:
        return acl(owner=READ | WRITE, group=READ, other=0, users={uid: READ}, groups={gid: READ}, mask=READ)

    with mapped_view(place.path) as view:
        os.setxattr(view / "root", ACCESS, of(SHIFT + 9, SHIFT + 10))
        assert as_user((view / "root").read_bytes, uid=SHIFT + 9, gid=FIVE) == b"root's"
        assert as_user(lambda: errno_of((view / "root").read_bytes), uid=9, gid=FIVE) == EACCES
        assert os.getxattr(view / "root", ACCESS) == of(SHIFT + 9, SHIFT + 10)
    assert os.getxattr(place / "root", ACCESS) == of(9, 10)
