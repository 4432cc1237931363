"""What a file keeps when it is copied up: all but what the call changes.

Source: the kernel's overlayfs documentation, "Non-directories" and "Inode properties".
"""

import fcntl
import os
import stat
import struct
from collections.abc import Callable
from errno import EPERM
from pathlib import Path

import pytest

from tests.filesystems import FileSystem, scratch
from tests.posix.acl import READ, WRITE, acl
from tests.posix.place import Place
from tests.posix.table import UNIONS, errno_of, row
from tests.stacks import Device, Directory, Fifo, File, Socket, Symlink, write

MIB = 1 << 20
GET_FLAGS, SET_FLAGS, IMMUTABLE = 0x80086601, 0x40086602, 0x10
CAP_NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
ACL = acl(owner=READ | WRITE, users={7: READ}, group=READ, mask=READ, other=0)


def _touch_attributes(path: Path) -> None:
    os.setxattr(path, "trusted.trigger", b"")
    os.removexattr(path, "trusted.trigger")


@row(
    bottom={
        "f": File(
            b"content",
            mode=0o4751, uid=11, gid=12, mtime_ns=1_500_000_000_987_654_321,
            xattrs={
                "user.binary": b"\x00\x01\n=\xff", "user.empty": b"", "trusted.t": b"t",
                "security.capability": CAP_NET_RAW, "system.posix_acl_access": ACL,
            },
        ),
    },
)  # fmt: skip
def test_a_file_keeps_owner_mode_times_and_xattrs(place: Place) -> None:
    path = place / "f"
    before = path.stat()
    names = set(os.listxattr(path))
    _touch_attributes(path)
    after = path.stat()
    assert after.st_mode == before.st_mode
    assert (after.st_uid, after.st_gid, after.st_size) == (11, 12, 7)
    assert (after.st_mtime_ns, after.st_atime_ns) == (before.st_mtime_ns, before.st_atime_ns)
    assert set(os.listxattr(path)) == names
    assert os.getxattr(path, "user.binary") == b"\x00\x01\n=\xff"
    assert os.getxattr(path, "user.empty") == b""
    assert os.getxattr(path, "security.capability") == CAP_NET_RAW
    assert os.getxattr(path, "system.posix_acl_access") == ACL
    assert path.read_bytes() == b"content"


@row(own=True, options=("metacopy=off",), bottom={"f": File(b"content", uid=11, gid=12)}, on=UNIONS)
def test_the_copy_on_disk_is_the_same_file_without_the_mount(place: Place) -> None:
    _touch_attributes(place / "f")
    copy, original = (place.upper / "f").stat(), (place.lowers["bottom"] / "f").stat()
    assert (copy.st_mode, copy.st_uid, copy.st_gid) == (original.st_mode, original.st_uid, original.st_gid)
    assert (copy.st_mtime_ns, copy.st_size) == (original.st_mtime_ns, original.st_size)
    assert (place.upper / "f").read_bytes() == b"content"


@row(bottom={"f": File(b"x"), "d/f": File(), "link": Symlink("f"), "fifo": Fifo()})
def test_the_inode_number_stays_when_a_file_is_copied_up(place: Place) -> None:
    names = ("f", "d", "link", "fifo")
    before = {name: os.lstat(place / name) for name in names}
    for name in names:
        os.chown(place / name, 3, 4, follow_symlinks=False)
    for name in names:
        after = os.lstat(place / name)
        assert (after.st_dev, after.st_ino) == (before[name].st_dev, before[name].st_ino)
        assert after.st_uid == 3


@row(own=True, bottom={"f": File(b"x"), "d/g": File(b"g"), "e/h": File()})
def test_the_inode_number_stays_when_mounted_anew(place: Place) -> None:
    names = ("f", "d", "d/g", "e", "e/h")
    before = {name: (place / name).stat().st_ino for name in names}
    (place / "f").write_bytes(b"new")
    (place / "d/g").chmod(0o600)
    place.remount()
    assert {name: (place / name).stat().st_ino for name in names} == before
    (place / "f").rename(place / "d/moved")
    place.remount()
    assert (place / "d/moved").stat().st_ino == before["f"]


def _rename_there_and_back(path: Path) -> None:
    path.rename(path.with_name("x"))
    path.with_name("x").rename(path)


SPECIAL = {
    "fifo": Fifo(mode=0o640, uid=5),
    "socket": Socket(mode=0o640, uid=5),
    "char": Device(stat.S_IFCHR, 1, 7, mode=0o640, uid=5),
    "block": Device(stat.S_IFBLK, 259, 1048575, mode=0o640, uid=5),
}
CHANGES: dict[str, Callable[[Path], None]] = {
    "chmod": lambda path: path.chmod(0o600),
    "chown": lambda path: os.chown(path, 0, 0),
    "utimes": lambda path: os.utime(path, ns=(1, 2)),
    "rename": _rename_there_and_back,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@row(bottom=SPECIAL)
def test_special_files_stay_what_they_are(place: Place, change: Callable[[Path], None]) -> None:
    before = {name: os.lstat(place / name) for name in SPECIAL}
    for name, old in before.items():
        change(place / name)
        new = os.lstat(place / name)
        assert stat.S_IFMT(new.st_mode) == stat.S_IFMT(old.st_mode)
        assert (new.st_rdev, new.st_ino, new.st_nlink) == (old.st_rdev, old.st_ino, 1)


@row(bottom={"link": Symlink("../else where", uid=5, gid=6), "dangling": Symlink("/none")})
def test_symlinks_are_copied_up_as_symlinks(place: Place) -> None:
    os.chown(place / "link", 8, 9, follow_symlinks=False)
    os.utime(place / "dangling", ns=(1_000_000_001, 2_000_000_002), follow_symlinks=False)
    assert os.readlink(place / "link") == "../else where"
    assert os.readlink(place / "dangling") == "/none"
    found = os.lstat(place / "link")
    assert (found.st_uid, found.st_gid, found.st_size) == (8, 9, len("../else where"))
    assert os.lstat(place / "dangling").st_mtime_ns == 2_000_000_002


@row(
    bottom={"f": File(b"data", extents=(5 * MIB,), size=16 * MIB)},
    on=UNIONS,
    expected={"kernel": MIB + (64 << 10), "default": 64 << 10},
    because="overlayfs copies data in pieces of 1 MiB, holes within them included",
)
def test_holes_stay_holes(place: Place) -> None:
    with (place / "f").open("r+b") as file:
        file.seek(9 * MIB)
        file.write(b"new")
    found = (place.upper / "f").stat()
    assert found.st_size == 16 * MIB
    limit = place.expected
    assert isinstance(limit, int)
    assert found.st_blocks * 512 <= limit
    with (place / "f").open("rb") as file:
        content = file.read()
    assert (content[5 * MIB : 5 * MIB + 4], content[9 * MIB : 9 * MIB + 3]) == (b"data", b"new")
    assert content.count(0) == 16 * MIB - 7


@row(own=True, bottom={"f": File(b"mark", extents=(0, 4096 * MIB + 10), size=4100 * MIB)})
def test_a_file_of_more_than_4_gib_is_copied_up_whole(place: Place) -> None:
    with (place / "f").open("r+b") as file:
        file.seek(1 << 32)
        file.write(b"new")
        file.seek((4096 * MIB) + 10)
        assert file.read(4) == b"mark"
    assert (place / "f").stat().st_size == 4100 * MIB
    with (place / "f").open("rb") as file:
        assert file.read(5) == b"mark\0"
        file.seek(1 << 32)
        assert file.read(14) == b"new\0\0\0\0\0\0\0mark"


@row(on=UNIONS)
def test_the_immutable_flag_of_a_lower_file_does_not_stop_its_copy(filesystem: FileSystem) -> None:
    """Overlayfs shows the flag and refuses; without it on the mount's own file the change is an ordinary one."""
    with scratch() as directory:
        write(directory, {"low/f": File(b"low"), **{name: Directory() for name in ("up", "work", "mount")}})
        _set_immutable(directory / "low/f", immutable=True)
        options = [f"lowerdir={directory}/low", f"upperdir={directory}/up", f"workdir={directory}/work"]
        try:
            attachment = filesystem.attach(options, directory / "mount", directory, {})
            try:
                shows = not errno_of(_flags, directory / "mount/f") and bool(_flags(directory / "mount/f") & IMMUTABLE)
                outcome = errno_of((directory / "mount/f").write_bytes, b"new")
            finally:
                attachment.detach()
        finally:
            _set_immutable(directory / "low/f", immutable=False)
        assert (shows, outcome) == ((True, EPERM) if filesystem.name == "kernel" else (False, 0))
        assert (directory / "low/f").read_bytes() == b"low"


def _flags(path: Path) -> int:
    with path.open("rb") as file:
        return int(struct.unpack("i", fcntl.ioctl(file, GET_FLAGS, bytes(4)))[0])


def _set_immutable(path: Path, *, immutable: bool) -> None:
    flags = _flags(path) | IMMUTABLE if immutable else _flags(path) & ~IMMUTABLE
    with path.open("rb") as file:
        fcntl.ioctl(file, SET_FLAGS, struct.pack("i", flags))
