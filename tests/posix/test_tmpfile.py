"""Files made without a name (O_TMPFILE).

Sources: open(2), O_TMPFILE; linkat(2), AT_EMPTY_PATH. pyfuse3 has no handler for it.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EISDIR, ENOENT, ENOTDIR, EROFS
from pathlib import Path

from tests.posix.acl import DEFAULT, READ, WRITE, acl
from tests.posix.place import Place
from tests.posix.processes import as_user, umask
from tests.posix.syscalls import link_following
from tests.posix.table import errno_of, row
from tests.stacks import Directory, File, Layer

ON = ("plain", "kernel", "kernel-protocol")
SINCE = (6, 1)
"""The first Linux whose overlayfs, and whose FUSE, has it."""
LISTED = acl(owner=7, group=5, other=0, users={7: READ | WRITE}, mask=READ | WRITE)
BOTTOM: Layer = {
    "d/f": File(b"x"),
    "group": Directory(mode=0o2777, gid=77),
    "listed": Directory(mode=0o755, xattrs={DEFAULT: LISTED}),
    "file": File(),
}


@contextmanager
def nameless(directory: Path, mode: int = 0o666, flags: int = 0) -> Iterator[int]:
    descriptor = os.open(directory, os.O_TMPFILE | os.O_RDWR | flags, mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def name(descriptor: int, path: Path) -> None:
    link_following(Path(f"/proc/self/fd/{descriptor}"), path)


@row(bottom=BOTTOM, on=ON, kernel=SINCE)
def test_it_is_a_file_in_all_but_a_name(place: Place) -> None:
    with nameless(place / "d") as descriptor:
        assert os.write(descriptor, b"content") == 7
        os.fchmod(descriptor, 0o640)
        os.fchown(descriptor, 5, 6)
        os.setxattr(descriptor, "user.a", b"1")
        os.ftruncate(descriptor, 4)
        os.fsync(descriptor)
        found = os.fstat(descriptor)
        assert (found.st_nlink, found.st_size, found.st_uid, found.st_gid) == (0, 4, 5, 6)
        assert found.st_mode == stat.S_IFREG | 0o640
        assert os.pread(descriptor, 10, 0) == b"cont"
        assert os.getxattr(descriptor, "user.a") == b"1"
        assert place.names("d") == ["f"]


@row(bottom=BOTTOM, on=ON, kernel=SINCE)
def test_it_has_the_mode_and_owner_of_any_new_file(place: Place) -> None:
    with umask(0o027), nameless(place / "d") as descriptor:
        assert stat.S_IMODE(os.fstat(descriptor).st_mode) == 0o640
    with nameless(place / "group") as descriptor:
        assert os.fstat(descriptor).st_gid == 77
    with umask(0o077), nameless(place / "listed") as descriptor:
        assert stat.S_IMODE(os.fstat(descriptor).st_mode) == 0o660, "the umask doesn't count beside a default list"


@row(bottom=BOTTOM, on=ON, kernel=SINCE)
def test_what_it_holds_is_there_under_the_name_it_is_given(place: Place) -> None:
    with nameless(place / "d") as descriptor:
        os.write(descriptor, b"content")
        name(descriptor, place / "d/named")
        assert os.fstat(descriptor).st_nlink == 1
        name(descriptor, place / "group/too")
        assert os.fstat(descriptor).st_nlink == 2
        number = os.fstat(descriptor).st_ino
    assert (place / "d/named").read_bytes() == (place / "group/too").read_bytes() == b"content"
    assert (place / "d/named").stat().st_ino == (place / "group/too").stat().st_ino == number
    assert place.names("d") == ["f", "named"]


@row(bottom=BOTTOM, on=ON, kernel=SINCE)
def test_it_is_given_no_name_where_exclusive(place: Place) -> None:
    with nameless(place / "d", flags=os.O_EXCL) as descriptor:
        assert errno_of(name, descriptor, place / "d/named") == ENOENT
    assert place.names("d") == ["f"]


@row(own=True, bottom=BOTTOM, on=ON, kernel=SINCE)
def test_nothing_is_left_of_what_was_never_named(place: Place) -> None:
    for number in range(10):
        with nameless(place / "d") as descriptor:
            os.write(descriptor, b"x" * 100_000)
            if number % 2:
                name(descriptor, place / f"d/{number}")
    place.remount()
    assert place.names("d") == ["1", "3", "5", "7", "9", "f"]
    if place.is_on("ours"):
        assert place.stack.work is not None
        assert os.listdir(place.stack.work / "work") == ["unionfs-index"]


@row(bottom=BOTTOM, on=ON, kernel=SINCE)
def test_it_needs_a_directory_that_can_be_written(place: Place) -> None:
    def make(directory: Path) -> None:
        with nameless(directory):
            pass

    assert errno_of(make, place / "file") == ENOTDIR
    assert errno_of(make, place / "absent") == ENOENT
    assert errno_of(os.open, place / "d", os.O_TMPFILE | os.O_RDONLY) != 0
    assert errno_of(os.open, place / "d", os.O_RDWR) == EISDIR
    assert as_user(lambda: errno_of(make, place / "d")) != 0
    assert as_user(lambda: errno_of(make, place / "group")) == 0


@row(bottom=BOTTOM, read_only=True, on=ON, kernel=SINCE)
def test_there_is_none_on_a_read_only_mount(place: Place) -> None:
    assert errno_of(os.open, place / "d", os.O_TMPFILE | os.O_RDWR) == EROFS
