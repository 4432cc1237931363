"""Mounts that take no changes: those without an upper, and those with the option ``ro``.

Source: EROFS in POSIX, of each function.
"""

import os
import stat
from collections.abc import Callable
from errno import EEXIST, EISDIR, ENOENT, EROFS
from pathlib import Path

import pytest

from tests.posix.place import Place
from tests.posix.syscalls import RENAME_EXCHANGE, access, renameat2
from tests.posix.table import UNIONS, errno_of, row
from tests.stacks import Directory, File, Layer, Symlink

LAYER: Layer = {
    "f": File(b"content", mode=0o666, xattrs={"user.k": b"v"}),
    "g": File(),
    "d": Directory(mode=0o777),
    "d/x": File(),
    "link": Symlink("f"),
}

CHANGES: dict[str, Callable[[Path], object]] = {
    "open for writing": lambda path: os.open(path / "f", os.O_WRONLY),
    "open for both": lambda path: os.open(path / "f", os.O_RDWR),
    "open with truncation": lambda path: os.open(path / "f", os.O_RDONLY | os.O_TRUNC),
    "create": lambda path: os.open(path / "new", os.O_CREAT | os.O_WRONLY),
    "mkdir": lambda path: os.mkdir(path / "new"),
    "mkfifo": lambda path: os.mkfifo(path / "new"),
    "mknod": lambda path: os.mknod(path / "new", stat.S_IFCHR, os.makedev(1, 3)),
    "symlink": lambda path: os.symlink("f", path / "new"),
    "link": lambda path: os.link(path / "f", path / "new"),
    "unlink": lambda path: os.unlink(path / "f"),
    "rmdir": lambda path: os.rmdir(path / "d"),
    "rename": lambda path: os.rename(path / "f", path / "new"),
    "rename over": lambda path: os.rename(path / "f", path / "g"),
    "exchange": lambda path: renameat2(path / "f", path / "g", RENAME_EXCHANGE),
    "chmod": lambda path: os.chmod(path / "f", 0o600),
    "chown": lambda path: os.chown(path / "f", 1, 1),
    "lchown": lambda path: os.chown(path / "link", 1, 1, follow_symlinks=False),
    "utimes": lambda path: os.utime(path / "f", ns=(1, 2)),
    "truncate": lambda path: os.truncate(path / "f", 0),
    "setxattr": lambda path: os.setxattr(path / "f", "user.new", b"v"),
    "removexattr": lambda path: os.removexattr(path / "f", "user.k"),
    "access": lambda path: access(path / "f", os.W_OK),
    "access of a directory": lambda path: access(path / "d", os.W_OK),
}


@pytest.mark.parametrize("change", CHANGES)
@row(read_only=True, bottom=LAYER, top={"d/y": File()})
def test_every_change_is_refused(place: Place, change: str) -> None:
    assert errno_of(CHANGES[change], place.path) == EROFS
    assert place.names() == ["d", "f", "g", "link"]
    assert (place / "f").read_bytes() == b"content"


@row(own=True, options=("ro",), bottom=LAYER, upper={"mine": File()}, on=UNIONS)
def test_every_change_is_refused_with_an_upper_mounted_read_only(place: Place) -> None:
    outcomes = {name: errno_of(change, place.path) for name, change in CHANGES.items()}
    assert {name for name, number in outcomes.items() if number != EROFS} == set()
    assert place.names() == ["d", "f", "g", "link", "mine"]
    assert os.listdir(place.upper) == ["mine"]


@row(read_only=True, bottom=LAYER)
def test_reading_works(place: Place) -> None:
    descriptor = os.open(place / "f", os.O_CREAT | os.O_RDONLY)
    try:
        assert os.read(descriptor, 100) == b"content"
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    assert os.getxattr(place / "f", "user.k") == b"v"
    assert os.readlink(place / "link") == "f"
    access(place / "f", os.R_OK)
    assert place.names("d") == ["x"]


@row(read_only=True, bottom=LAYER)
def test_a_call_that_fails_anyway_may_name_either_reason(place: Place) -> None:
    assert errno_of(os.unlink, place / "none") in {ENOENT, EROFS}
    assert errno_of(os.rmdir, place / "none") in {ENOENT, EROFS}
    assert errno_of(os.mkdir, place / "d") in {EEXIST, EROFS}
    assert errno_of(os.open, place / "d", os.O_WRONLY) in {EISDIR, EROFS}
    assert errno_of(os.open, place / "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY) in {EEXIST, EROFS}


@row(read_only=True, bottom={"fifo": File(), "d/f": File(mode=0o600)})
def test_the_mount_says_that_it_is_read_only(place: Place) -> None:
    assert os.statvfs(place / "d").f_flag & os.ST_RDONLY
