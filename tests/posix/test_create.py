"""Creating files, directories, links and devices: over nothing, over whiteouts, over what is there.

Sources: POSIX open(), mkdir(), mknod(), symlink(); the kernel's overlayfs documentation.
"""

import os
import socket
import stat
from collections.abc import Callable
from errno import EACCES, EEXIST, EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR, EPERM
from functools import partial
from pathlib import Path

import pytest

from tests.posix.place import Place
from tests.posix.processes import as_user, umask
from tests.posix.table import UNIONS, errno_of, row
from tests.stacks import WHITEOUT, Device, Directory, Fifo, File, Symlink

MAKERS: dict[str, Callable[[Path], object]] = {
    "open": lambda path: os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)),
    "mkdir": lambda path: os.mkdir(path, 0o777),
    "mkfifo": lambda path: os.mkfifo(path, 0o666),
    "mknod": lambda path: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 7)),
    "symlink": lambda path: os.symlink("target", path),
}
KINDS = {"open": "-", "mkdir": "d", "mkfifo": "p", "mknod": "c", "symlink": "l"}


@pytest.mark.parametrize("maker", MAKERS)
@row(
    bottom={"d/f": File(b"old", xattrs={"user.old": b"1"}), "d/dir/x": File(), "d/link": Symlink("f")},
    middle={"d/f": WHITEOUT, "d/dir": WHITEOUT},
    top={"d/never": WHITEOUT},
)
def test_a_new_name_over_a_whiteout_has_nothing_of_the_old(place: Place, maker: str) -> None:
    (place / "d/link").unlink()
    with umask(0o027):
        for name in ("f", "dir", "link", "never", "fresh"):
            path = place / "d" / name
            MAKERS[maker](path)
            found = os.lstat(path)
            assert stat.filemode(found.st_mode)[0] == KINDS[maker]
            assert found.st_size == (len("target") if maker == "symlink" else found.st_size)
            assert os.listxattr(path, follow_symlinks=False) == []
            if maker != "symlink":
                assert stat.S_IMODE(found.st_mode) == (0o750 if maker == "mkdir" else 0o640)
            if maker == "mkdir":
                assert place.names(f"d/{name}") == []
            if maker == "open":
                assert path.read_bytes() == b""


@pytest.mark.parametrize("maker", MAKERS)
@row(
    bottom={"f": File(b"low"), "dir/x": File(), "link": Symlink("none"), "fifo": Fifo()},
    upper={"mine": File()},
)
def test_nothing_is_created_over_a_name_that_is_there(place: Place, maker: str) -> None:
    for name in ("f", "dir", "link", "fifo", "mine"):
        assert errno_of(MAKERS[maker], place / name) == EEXIST
    assert place.names() == ["dir", "f", "fifo", "link", "mine"]


@row(bottom={"d": Directory()}, on=UNIONS)
def test_a_directory_over_a_whiteout_is_opaque_on_disk(place: Place) -> None:
    (place / "d").rmdir()
    (place / "d").mkdir()
    assert os.getxattr(place.upper / "d", "trusted.overlay.opaque") == b"y"


@row(own=True, bottom={"d/x": File(b"x"), "f": File(b"f")})
def test_what_replaced_lower_names_is_there_when_mounted_anew(place: Place) -> None:
    (place / "f").unlink()
    (place / "f").mkdir()
    (place / "d/x").unlink()
    (place / "d").rmdir()
    (place / "d").write_bytes(b"a file now")
    place.remount()
    assert place.names("f") == []
    assert (place / "d").read_bytes() == b"a file now"


@pytest.mark.parametrize("mask", [0, 0o022, 0o077, 0o777])
@row(bottom={"d": Directory(mode=0o777)})
def test_the_callers_umask_is_applied_once(place: Place, mask: int) -> None:
    with umask(mask):
        for maker, mode in {"open": 0o666, "mkdir": 0o777, "mkfifo": 0o666, "mknod": 0o666}.items():
            path = place / "d" / maker
            MAKERS[maker](path)
            assert stat.S_IMODE(os.lstat(path).st_mode) == mode & ~mask


@row(bottom={"d": Directory(mode=0o777)}, top={"d/gone": WHITEOUT, "d": Directory(mode=0o777)})
def test_what_a_user_creates_belongs_to_the_user(place: Place) -> None:
    def create() -> None:
        for name in ("new", "gone"):
            (place / "d" / name).mkdir()
        for name, maker in MAKERS.items():
            if name != "mknod":
                maker(place / "d/new" / name)

    as_user(create, uid=1234, gid=5678)
    for name in ("new", "gone", "new/open", "new/mkdir", "new/mkfifo", "new/symlink"):
        found = os.lstat(place / "d" / name)
        assert (found.st_uid, found.st_gid) == (1234, 5678)


@row(bottom={"d": Directory(mode=0o2777, gid=99)}, top={"d/gone": WHITEOUT, "d": Directory(mode=0o2777, gid=99)})
def test_a_set_group_id_directory_hands_its_group_down(place: Place) -> None:
    def create() -> None:
        for name in ("dir", "gone"):
            (place / "d" / name).mkdir(mode=0o755)
        for name in ("file", "dir/file"):
            (place / "d" / name).touch()

    as_user(create, uid=1234, gid=5678)
    for name in ("dir", "gone"):
        found = (place / "d" / name).stat()
        assert (found.st_gid, found.st_mode & stat.S_ISGID) == (99, stat.S_ISGID)
    for name in ("file", "dir/file"):
        found = (place / "d" / name).stat()
        assert (found.st_gid, found.st_mode & stat.S_ISGID) == (99, 0)


@row(bottom={"d": Directory(mode=0o2777, gid=99)})
def test_a_stranger_to_the_group_does_not_make_a_set_group_id_program_there(place: Place) -> None:
    def create() -> int:
        descriptor = os.open(place / "d/f", os.O_CREAT | os.O_WRONLY, 0o2755)
        os.close(descriptor)
        return (place / "d/f").stat().st_mode & stat.S_ISGID

    assert as_user(create, uid=1234, gid=5678) == 0


@row(bottom={"f": File(b"content"), "link": Symlink("f"), "dangling": Symlink("made"), "loop": Symlink("loop")})
def test_o_creat_opens_what_is_there_and_follows_links(place: Place) -> None:
    with (place / "link").open("ab") as file:
        file.write(b"!")
    assert (place / "f").read_bytes() == b"content!"
    os.close(os.open(place / "dangling", os.O_CREAT | os.O_WRONLY, 0o644))
    assert place.names() == ["dangling", "f", "link", "loop", "made"]
    assert errno_of(os.open, place / "loop", os.O_CREAT | os.O_WRONLY) == ELOOP
    assert errno_of(os.open, place / "link", os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW) == ELOOP


@row(bottom={"f": File(), "d": Directory()})
def test_what_cannot_be_a_parent_is_refused(place: Place) -> None:
    assert errno_of(os.mkdir, place / "f/x") == ENOTDIR
    assert errno_of(os.mkdir, place / "none/x") == ENOENT
    assert errno_of(os.open, place / "d", os.O_CREAT | os.O_WRONLY) == EISDIR
    assert errno_of(os.open, place / "d", os.O_RDWR) == EISDIR
    assert errno_of(os.open, place / "f", os.O_RDONLY | os.O_DIRECTORY) == ENOTDIR
    assert errno_of(os.open, f"{place / 'new'}/", os.O_CREAT | os.O_WRONLY) == EISDIR


@row(bottom={"d": Directory()})
def test_device_nodes_keep_their_numbers(place: Place) -> None:
    numbers = {"c": (stat.S_IFCHR, 5, 1), "b": (stat.S_IFBLK, 300, 70000), "max": (stat.S_IFCHR, 4095, 1048575)}
    for name, (kind, major, minor) in numbers.items():
        os.mknod(place / "d" / name, kind | 0o600, os.makedev(major, minor))
        found = os.lstat(place / "d" / name)
        assert (stat.S_IFMT(found.st_mode), found.st_rdev) == (kind, os.makedev(major, minor))
    assert as_user(lambda: errno_of(os.mknod, place / "d/no", stat.S_IFCHR, os.makedev(1, 3))) != 0


@row(bottom={"d/low": File()}, on=UNIONS)
def test_a_whiteout_cannot_be_made_as_a_device(place: Place) -> None:
    assert errno_of(os.mknod, place / "d/new", stat.S_IFCHR | 0o600, os.makedev(0, 0)) == EPERM
    assert place.names("d") == ["low"]


@row(
    bottom={"d/low": File(), "d/f": File()},
    on=UNIONS,
    expected={"kernel": 0, "default": EINVAL},
    because="the names are ordinary to overlayfs; here they would hide files when mounted anew",
)
def test_names_that_are_whiteouts_on_disk_are_refused(place: Place) -> None:
    for maker in MAKERS.values():
        for name in (".wh.low", ".wh.new", ".wh..wh..opq"):
            assert errno_of(maker, place / "d" / name) == place.expected
            if place.is_on("kernel"):
                (os.rmdir if (place / "d" / name).is_dir() else os.unlink)(place / "d" / name)
    assert errno_of(os.rename, place / "d/f", place / "d/.wh.low") == place.expected
    assert "low" in place.names("d")


@row(bottom={"d": Directory(mode=0o777)})
def test_a_unix_socket_is_bound_and_connected_to(place: Place) -> None:
    descriptor = os.open(place / "d", os.O_PATH)
    try:
        address = f"/proc/self/fd/{descriptor}/socket"
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind(address)
            server.listen()
            client.connect(address)
            assert stat.S_ISSOCK(os.lstat(place / "d/socket").st_mode)
    finally:
        os.close(descriptor)


@row(bottom={"d": Directory(mode=0o777), "null": Device(stat.S_IFCHR, 1, 3), "fifo": Fifo()})
def test_devices_and_fifos_work(place: Place) -> None:
    assert (place / "null").read_bytes() == b""
    reading = os.open(place / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(place / "fifo", os.O_WRONLY)
    try:
        os.write(writing, b"through")
        assert os.read(reading, 100) == b"through"
    finally:
        os.close(reading)
        os.close(writing)


@row(bottom={"d": Directory(mode=0o755)})
def test_who_may_not_write_a_directory_creates_nothing_in_it(place: Place) -> None:
    for name, maker in MAKERS.items():
        if name != "mknod":
            assert as_user(partial(errno_of, maker, place / "d/x")) == EACCES
    assert place.names("d") == []
