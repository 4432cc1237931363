"""Files that live on in descriptors after their names are gone.

Sources: POSIX unlink(), rename(): the file lasts until the last close.
"""

import mmap
import os
from errno import EEXIST, ENODATA

import pytest

from tests.posix.place import Place
from tests.posix.table import errno_of, row
from tests.stacks import File, HardLink, Layer

LAYERS: Layer = {"f": File(b"0123456789", mode=0o644, uid=3, xattrs={"user.k": b"v"})}


def _opened(place: Place, name: str) -> int:
    if name == "new":
        (place / name).write_bytes(b"0123456789")
        os.setxattr(place / name, "user.k", b"v")
    return os.open(place / name, os.O_RDWR)


@pytest.mark.parametrize("name", ["low", "both", "mine", "new"])
@row(bottom={"low": LAYERS["f"], "both": LAYERS["f"]}, upper={"mine": LAYERS["f"], "both": LAYERS["f"]})
def test_everything_works_on_a_file_without_a_name(place: Place, name: str) -> None:
    descriptor = _opened(place, name)
    try:
        inode = os.fstat(descriptor).st_ino
        (place / name).unlink()
        assert os.fstat(descriptor).st_nlink == 0
        assert os.pread(descriptor, 100, 0) == b"0123456789"
        os.pwrite(descriptor, b"tail", 10)
        os.fchmod(descriptor, 0o600)
        os.fchown(descriptor, 7, 8)
        os.utime(descriptor, ns=(1_000_000_000, 2_000_000_000))
        os.setxattr(descriptor, "user.new", b"w")
        assert sorted(os.listxattr(descriptor)) == ["user.k", "user.new"]
        os.removexattr(descriptor, "user.k")
        assert errno_of(os.getxattr, descriptor, "user.k") == ENODATA
        found = os.fstat(descriptor)
        assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (0o600, 7, 8)
        assert (found.st_size, found.st_mtime_ns, found.st_ino) == (14, 2_000_000_000, inode)
        os.ftruncate(descriptor, 4)
        assert os.pread(descriptor, 100, 0) == b"0123"
        os.fsync(descriptor)
        assert name not in place.names()
    finally:
        os.close(descriptor)


@row(
    bottom={"low": File(b"lower content")},
    expected={"kernel": 1, "default": 0},
    because="overlayfs shows the link count of the lower file, which is not copied up",
)
def test_a_lower_file_opened_read_only_lives_on(place: Place) -> None:
    descriptor = os.open(place / "low", os.O_RDONLY)
    try:
        inode = os.fstat(descriptor).st_ino
        (place / "low").unlink()
        assert os.pread(descriptor, 100, 0) == b"lower content"
        assert os.fstat(descriptor).st_nlink == place.expected
        for number in range(20):
            (place / f"new{number}").touch()
            assert (place / f"new{number}").stat().st_ino != inode
    finally:
        os.close(descriptor)


@row(
    bottom={"low": File(b"lower content")},
    expected={"kernel": EEXIST, "default": 0},
    because="overlayfs can't copy up a file whose name is a whiteout by now",
)
def test_a_nameless_lower_file_is_changed_through_a_read_only_descriptor(place: Place) -> None:
    descriptor = os.open(place / "low", os.O_RDONLY)
    try:
        (place / "low").unlink()
        assert errno_of(os.fchmod, descriptor, 0o600) == place.expected
        assert os.fstat(descriptor).st_mode & 0o7777 == (0o644 if place.expected else 0o600)
        assert os.pread(descriptor, 100, 0) == b"lower content"
    finally:
        os.close(descriptor)


@row(bottom={"old": File(b"old"), "new": File(b"new")}, upper={"mine": File(b"mine")})
def test_a_file_replaced_by_a_rename_lives_on_in_its_descriptor(place: Place) -> None:
    descriptor = os.open(place / "old", os.O_RDWR)
    try:
        (place / "new").rename(place / "old")
        assert os.pread(descriptor, 100, 0) == b"old"
        assert os.fstat(descriptor).st_nlink == 0
        (place / "mine").rename(place / "old")
        os.pwrite(descriptor, b"!", 3)
        assert os.pread(descriptor, 100, 0) == b"old!"
        assert (place / "old").read_bytes() == b"mine"
    finally:
        os.close(descriptor)


@row(bottom={"f": File(b"content")})
def test_a_descriptor_follows_its_file_to_another_name(place: Place) -> None:
    descriptor = os.open(place / "f", os.O_RDWR)
    try:
        (place / "f").rename(place / "g")
        (place / "f").write_bytes(b"another")
        os.pwrite(descriptor, b"CON", 0)
        assert (place / "g").read_bytes() == b"CONtent"
        assert (place / "f").read_bytes() == b"another"
    finally:
        os.close(descriptor)


@row(bottom={"a": File(b"x"), "b": HardLink("a")})
def test_an_unlinked_name_leaves_its_other_link_and_the_descriptor_one_file(place: Place) -> None:
    descriptor = os.open(place / "a", os.O_RDWR)
    try:
        (place / "a").unlink()
        assert os.fstat(descriptor).st_nlink == 1
        os.pwrite(descriptor, b"written", 0)
        assert (place / "b").read_bytes() == b"written"
    finally:
        os.close(descriptor)


@row(bottom={"low": File(b"0123456789")})
def test_a_map_outlives_name_and_descriptor(place: Place) -> None:
    with (place / "low").open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    (place / "low").unlink()
    mapped[:3] = b"new"
    assert mapped[:] == b"new3456789"
    mapped.close()


@row(bottom={f"f{number}": File(b"%d" % number) for number in range(100)})
def test_many_nameless_files_are_kept_apart(place: Place) -> None:
    descriptors = [os.open(place / f"f{number}", os.O_RDWR) for number in range(100)]
    try:
        for number in range(100):
            (place / f"f{number}").unlink()
        for number, descriptor in enumerate(descriptors):
            os.pwrite(descriptor, b"!", 10)
            assert os.pread(descriptor, 2, 0).rstrip(b"\0") == b"%d" % number
        assert place.names() == []
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


@row(own=True, bottom={"low": File(b"x" * 100)}, on=("union",))
def test_nothing_of_a_nameless_file_is_left_when_it_is_closed(place: Place) -> None:
    assert place.stack.work is not None
    (place / "mine").write_bytes(b"y")
    for name in ("low", "mine"):
        descriptor = os.open(place / name, os.O_RDWR)
        (place / name).unlink()
        os.pwrite(descriptor, b"z", 0)
        os.close(descriptor)
    place.remount()
    assert os.listdir(place.upper) == ["low"]
    held = [files for _, _, files in os.walk(place.stack.work / "work")]
    assert not any(held), held
