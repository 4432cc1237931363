"""Which calls copy a lower file to the upper layer, and which leave it below.

Source: the kernel's overlayfs documentation, "Non-directories"; what the kernel does was measured on Linux 6.18.
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.posix.place import Place
from tests.posix.processes import as_user
from tests.posix.syscalls import access, fallocate
from tests.posix.table import UNIONS, errno_of, row
from tests.stacks import OPAQUE, Directory, File, Layer, Symlink

LOWER: Layer = {
    "d": Directory(mode=0o751, uid=1, gid=2, xattrs={"user.d": b"d"}),
    "d/f": File(b"0123456789", xattrs={"user.k": b"v"}),
    "d/other": File(b"other"),
    "d/link": Symlink("f"),
    "d/sub": Directory(),
}


def _write(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"X")


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"X")


def _open_and_close(path: Path, flags: int) -> None:
    os.close(os.open(path, flags))


TRIGGERS: dict[str, Callable[[Path], object]] = {
    "writing": _write,
    "appending": _append,
    "truncating": lambda path: os.truncate(path, 3),
    "truncating to the same size": lambda path: os.truncate(path, 10),
    "opening with O_TRUNC": lambda path: _open_and_close(path, os.O_WRONLY | os.O_TRUNC),
    "opening read-only with O_TRUNC": lambda path: _open_and_close(path, os.O_RDONLY | os.O_TRUNC),
    "chmod": lambda path: path.chmod(0o600),
    "chmod to the same mode": lambda path: path.chmod(0o644),
    "chown": lambda path: os.chown(path, 5, 6),
    "utimes": lambda path: os.utime(path, ns=(1, 2)),
    "setxattr": lambda path: os.setxattr(path, "user.new", b"1"),
    "removexattr": lambda path: os.removexattr(path, "user.k"),
    "linking": lambda path: os.link(path, path.with_name("hard")),
    "renaming": lambda path: path.rename(path.with_name("moved")),
}


@pytest.mark.parametrize("trigger", TRIGGERS.values(), ids=TRIGGERS.keys())
@row(on=UNIONS, bottom=LOWER)
def test_what_changes_a_file_copies_it_up(place: Place, trigger: Callable[[Path], object]) -> None:
    trigger(place / "d/f")
    assert {"f", "hard", "moved"} & set(os.listdir(place.upper / "d")), "nothing came up"
    assert (place.lowers["bottom"] / "d/f").read_bytes() == b"0123456789"


@row(on=UNIONS, bottom=LOWER)
def test_opening_for_writing_alone_may_copy_up_and_changes_nothing(place: Place) -> None:
    before = (place / "d/f").stat()
    _open_and_close(place / "d/f", os.O_RDWR)
    assert place.is_in_upper("d/f") or place.is_on("ours"), "overlayfs copies up at once"
    after = (place / "d/f").stat()
    assert (before.st_mtime_ns, before.st_size, before.st_ino) == (after.st_mtime_ns, after.st_size, after.st_ino)


def _read_mapped(path: Path) -> bytes:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        return mapped[:]


def _lock(path: Path) -> None:
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.flock(file, fcntl.LOCK_UN)
        fcntl.fcntl(file, fcntl.F_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0))


def _sync_read_only(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


NON_TRIGGERS: dict[str, Callable[[Path], object]] = {
    "stat": os.stat,
    "reading": Path.read_bytes,
    "opening read-only": lambda path: _open_and_close(path, os.O_RDONLY),
    "opening without access": lambda path: _open_and_close(path, os.O_PATH),
    "getxattr": lambda path: os.getxattr(path, "user.k"),
    "listxattr": os.listxattr,
    "asking for write access": lambda path: access(path, os.W_OK),
    "mapping": _read_mapped,
    "locking": _lock,
    "fsync of a read-only descriptor": _sync_read_only,
    "readlink": lambda path: path.with_name("link").readlink(),
    "listing": lambda path: os.listdir(path.parent),
    "a symlink beside it": lambda path: path.with_name("new").symlink_to("f"),
    "O_EXCL of an existing name": lambda path: errno_of(os.open, path, os.O_CREAT | os.O_EXCL | os.O_WRONLY),
    "mkdir of an existing name": lambda path: errno_of(path.mkdir),
    "removing an absent xattr": lambda path: errno_of(os.removexattr, path, "user.absent"),
    "chmod by a stranger": lambda path: as_user(lambda: errno_of(path.chmod, 0o777)),
    "opening for writing by a stranger": lambda path: as_user(lambda: errno_of(os.open, path, os.O_RDWR)),
}


@pytest.mark.parametrize("call", NON_TRIGGERS.values(), ids=NON_TRIGGERS.keys())
@row(on=UNIONS, bottom=LOWER)
def test_what_does_not_change_a_file_leaves_it_below(place: Place, call: Callable[[Path], object]) -> None:
    call(place / "d/f")
    assert not place.is_in_upper("d/f")


@row(bottom=LOWER)
def test_opening_read_only_with_truncation_empties_a_lower_file(place: Place) -> None:
    _open_and_close(place / "d/f", os.O_RDONLY | os.O_TRUNC)
    assert (place / "d/f").stat().st_size == 0
    assert (place / "d/f").read_bytes() == b""


@row(
    bottom=LOWER,
    expected={"pyfuse3": True, "default": False},
    because="pyfuse3 has no fallocate, which answers EOPNOTSUPP",
)
def test_fallocate_copies_up_where_it_is_offered(place: Place) -> None:
    descriptor = os.open(place / "d/f", os.O_RDWR)
    try:
        failed = errno_of(fallocate, descriptor, 0, 0, 4096)
    finally:
        os.close(descriptor)
    assert bool(failed) == place.expected
    assert (place / "d/f").stat().st_size == (10 if failed else 4096)


@row(bottom={"d/low": File()}, middle={"d": OPAQUE, "d/own": File(b"x")}, on=UNIONS)
def test_copying_up_an_opaque_lower_directory_does_not_copy_its_mark(place: Place) -> None:
    (place / "d/own").write_bytes(b"y")
    assert "trusted.overlay.opaque" not in os.listxattr(place.upper / "d")
    assert place.names("d") == ["own"]


@row(bottom={"a": Directory(mode=0o711, uid=3, gid=4), "a/b": Directory(mode=0o2750), "a/b/f": File()}, on=UNIONS)
def test_ancestors_are_copied_up_first_with_attributes_of_their_own(place: Place) -> None:
    before = {name: (place / name).stat() for name in ("a", "a/b")}
    (place / "a/b/f").chmod(0o600)
    for name, old in before.items():
        for new in ((place / name).stat(), (place.upper / name).stat()):
            assert (new.st_mode, new.st_uid, new.st_gid) == (old.st_mode, old.st_uid, old.st_gid)
            assert new.st_mtime_ns == old.st_mtime_ns, "a child's copy-up is no change of the directory"


@row(bottom={"d/f": File(), "d/sub/g": File()})
def test_a_directorys_time_changes_with_its_names_alone(place: Place) -> None:
    before = (place / "d").stat().st_mtime_ns
    (place / "d/f").write_bytes(b"new")
    (place / "d/sub").chmod(0o700)
    (place / "d/sub/g").unlink()
    assert (place / "d").stat().st_mtime_ns == before
    (place / "d/f").unlink()
    assert (place / "d").stat().st_mtime_ns > before
