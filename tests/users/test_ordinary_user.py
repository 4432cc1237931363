"""A mount that an ordinary user makes through fusermount3.

Owners that this user can't set are kept in ``user.containers.override_stat``, as containers' storage does it
(storage, pkg/idtools): they are read in any layer and written to the upper. Permissions are checked against the owners
shown; what is on disk stays usable by the daemon, and never has a set-id bit.
"""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.ordinary_user import Somebody
from tests.posix import table
from tests.posix.processes import NOBODY
from tests.stacks import Directory, Fifo, File, HardLink, Layer, Symlink, write

RECORD = "user.containers.override_stat"


def recorded(text: str, content: bytes = b"") -> File:
    """Describe a file as an ordinary user's unpacking leaves it, that shows what *text* says."""
    return File(content, mode=0o600, xattrs={RECORD: text.encode()})


def of_the_user(layer: Layer) -> Layer:
    """Return the layer with everything on disk owned by the ordinary user."""
    return {path: replace(node, uid=NOBODY, gid=NOBODY) for path, node in layer.items()}


LOW = of_the_user(
    {
        ".": Directory(),
        "mine": File(b"mine"),
        "of-seven": recorded("7:8:0644:file", b"seven's"),
        "secret": recorded("7:8:0600:file", b"secret"),
        "shared": recorded("7:8:0666:file", b"shared"),
        "program": recorded("0:0:4755:file", b"program"),
        "linked": recorded("7:8:0666:file", b"linked"),
        "linked-too": HardLink("linked"),
        "null": recorded("0:0:0666:char-1-3"),
        "disk": recorded("0:6:0660:block-8-1"),
        "pipe": recorded("7:8:0666:pipe"),
        "closed": Directory(mode=0o700, xattrs={RECORD: b"7:8:0700:dir"}),
        "closed/in": File(b"in"),
        "open": Directory(mode=0o700, xattrs={RECORD: b"7:8:0777:dir"}),
        "open/in": recorded("7:8:0644:file", b"in"),
        "sticky": Directory(mode=0o700, xattrs={RECORD: b"7:8:1777:dir"}),
        "sticky/of-seven": recorded("7:8:0666:file"),
        "symlink": Symlink("mine"),
        "real-pipe": Fifo(mode=0o644),
    }
)


class Shown(NamedTuple):
    """Type and permissions, owner and group, and the numbers of a device."""

    mode: int
    uid: int
    gid: int
    device: tuple[int, int] = (0, 0)


def shown(path: str) -> Shown:
    found = os.lstat(path)
    return Shown(found.st_mode, found.st_uid, found.st_gid, (os.major(found.st_rdev), os.minor(found.st_rdev)))


def errno_of(user: Somebody, call: Callable[[], object]) -> int:
    """Return the errno with which the user's call fails, 0 where it succeeds."""
    return user.do(lambda: table.errno_of(call))


def read(path: str) -> bytes:
    return Path(path).read_bytes()


def write_bytes(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)


def on_disk(user: Somebody) -> dict[str, tuple[int, int, int]]:
    """Give mode, owner and group of everything in the upper, as they are on disk."""
    found = {}
    for above, directories, files in os.walk(user.directory / "upper"):
        for name in (*directories, *files):
            path = Path(above) / name
            status = path.lstat()
            found[str(path.relative_to(user.directory / "upper"))] = (status.st_mode, status.st_uid, status.st_gid)
    return found


def check_disk(user: Somebody) -> None:
    """Everything in the upper is the user's, of use to the daemon, and without a set-id bit."""
    for path, (mode, uid, gid) in on_disk(user).items():
        assert (uid, gid) == (NOBODY, NOBODY), path
        assert not mode & (stat.S_ISUID | stat.S_ISGID), path
        assert mode & 0o600 == 0o600 or not stat.S_ISREG(mode), path
        assert mode & 0o700 == 0o700 or not stat.S_ISDIR(mode), path


@pytest.fixture
def layered(user: Somebody) -> Somebody:
    write(user.directory / "low", LOW)
    return user


def test_owners_modes_and_devices_are_shown_as_recorded(layered: Somebody) -> None:
    daemon = layered.mount()
    found = layered.do(lambda: {name: shown(f"merged/{name}") for name in (".", *os.listdir("merged"))})
    assert found == {
        ".": Shown(0o40755, NOBODY, NOBODY),
        "mine": Shown(0o100644, NOBODY, NOBODY),
        "of-seven": Shown(0o100644, 7, 8),
        "secret": Shown(0o100600, 7, 8),
        "shared": Shown(0o100666, 7, 8),
        "program": Shown(0o104755, 0, 0),
        "linked": Shown(0o100666, 7, 8),
        "linked-too": Shown(0o100666, 7, 8),
        "null": Shown(0o020666, 0, 0, (1, 3)),
        "disk": Shown(0o060660, 0, 6, (8, 1)),
        "pipe": Shown(0o010666, 7, 8),
        "closed": Shown(0o040700, 7, 8),
        "open": Shown(0o040777, 7, 8),
        "sticky": Shown(0o041777, 7, 8),
        "symlink": Shown(0o120777, NOBODY, NOBODY),
        "real-pipe": Shown(0o010644, NOBODY, NOBODY),
    }
    assert layered.do(lambda: os.listxattr("merged/secret")) == []
    daemon.unmount()


def test_permissions_are_those_of_the_owners_shown(layered: Somebody) -> None:
    daemon = layered.mount()
    assert layered.do(lambda: read("merged/of-seven")) == b"seven's"
    refused: dict[str, Callable[[], object]] = {
        "reading another's secret": lambda: read("merged/secret"),
        "writing another's file": lambda: write_bytes("merged/of-seven", b""),
        "entering another's directory": lambda: os.listdir("merged/closed"),
        "reaching into another's directory": lambda: os.stat("merged/closed/in"),
    }
    assert {name: errno_of(layered, call) for name, call in refused.items()} == dict.fromkeys(refused, errno.EACCES)
    for_owners: dict[str, Callable[[], object]] = {
        "chmod": lambda: os.chmod("merged/shared", 0o600),
        "chown": lambda: os.chown("merged/mine", 7, -1),
        "chgrp": lambda: os.chown("merged/mine", -1, 8),
        "utime": lambda: os.utime("merged/shared", (1, 1)),
        "unlink in a sticky directory": lambda: os.unlink("merged/sticky/of-seven"),
        "mknod": lambda: os.mknod("merged/made", stat.S_IFCHR | 0o600, os.makedev(1, 3)),
    }
    assert {name: errno_of(layered, call) for name, call in for_owners.items()} == dict.fromkeys(
        for_owners, errno.EPERM
    )
    daemon.unmount()
    assert on_disk(layered) == {}


def test_what_is_copied_up_keeps_its_recorded_owner(layered: Somebody) -> None:
    daemon = layered.mount()

    def change() -> None:
        write_bytes("merged/shared", b"written")
        Path("merged/linked-too").write_bytes(b"both")
        Path("merged/open/new").write_bytes(b"new")
        os.rename("merged/of-seven", "merged/open/moved")
        os.setxattr("merged/open/moved", "user.no", b"")

    with pytest.raises(PermissionError):
        layered.do(change)

    def look() -> dict[str, tuple[Shown, int, bytes]]:
        return {
            name: (shown(f"merged/{name}"), os.stat(f"merged/{name}").st_nlink, read(f"merged/{name}"))
            for name in ("shared", "linked", "linked-too", "open/new", "open/moved")
        }

    expected = {
        "shared": (Shown(0o100666, 7, 8), 1, b"written"),
        "linked": (Shown(0o100666, 7, 8), 2, b"both"),
        "linked-too": (Shown(0o100666, 7, 8), 2, b"both"),
        "open/new": (Shown(0o100644, NOBODY, NOBODY), 1, b"new"),
        "open/moved": (Shown(0o100644, 7, 8), 1, b"seven's"),
    }
    assert layered.do(look) == expected
    assert layered.do(lambda: shown("merged/open")) == Shown(0o040777, 7, 8)
    daemon.unmount()
    check_disk(layered)
    daemon = layered.mount()
    assert layered.do(look) == expected
    assert layered.do(lambda: shown("merged/open")) == Shown(0o040777, 7, 8)
    daemon.unmount()


def test_any_mode_is_shown_and_the_daemon_can_go_on_using_the_file(layered: Somebody) -> None:
    modes = (0o000, 0o200, 0o4755, 0o2755, 0o1644, 0o6000, 0o777)
    daemon = layered.mount()

    def make() -> None:
        for mode in modes:
            for kind in ("file", "dir"):
                path = f"merged/{kind}-{mode:o}"
                if kind == "dir":
                    os.mkdir(path)
                else:
                    Path(path).write_bytes(b"content")
                os.chmod(path, mode)
        os.chmod("merged/mine", 0)

    def look() -> dict[str, int]:
        return {
            f"{kind}-{mode:o}": stat.S_IMODE(os.stat(f"merged/{kind}-{mode:o}").st_mode)
            for mode in modes
            for kind in ("file", "dir")
        }

    layered.do(make)
    expected = {f"{kind}-{mode:o}": mode for mode in modes for kind in ("file", "dir")}
    assert layered.do(look) == expected
    check_disk(layered)
    assert errno_of(layered, lambda: read("merged/file-0")) == errno.EACCES
    assert errno_of(layered, lambda: os.listdir("merged/dir-0")) == errno.EACCES
    assert layered.do(lambda: stat.S_IMODE(os.stat("merged/mine").st_mode)) == 0
    daemon.unmount()
    daemon = layered.mount()
    assert layered.do(look) == expected

    def change_again() -> bytes:
        os.chmod("merged/file-0", 0o640)
        os.chmod("merged/dir-0", 0o750)
        Path("merged/dir-0/in").touch()
        os.rename("merged/dir-200", "merged/dir-0/moved")
        os.rmdir("merged/dir-0/moved")
        os.unlink("merged/file-200")
        return read("merged/file-0")

    assert layered.do(change_again) == b"content"
    check_disk(layered)
    daemon.unmount()


def test_a_write_takes_set_id_bits_away(layered: Somebody) -> None:
    daemon = layered.mount()

    def write_program() -> list[int]:
        path = "merged/own"
        modes = []
        for change in (lambda: os.truncate(path, 1), lambda: Path(path).write_bytes(b"other")):
            Path(path).write_bytes(b"program")
            os.chmod(path, 0o6755)
            modes.append(stat.S_IMODE(os.stat(path).st_mode))
            change()
            modes.append(stat.S_IMODE(os.stat(path).st_mode))
        return modes

    assert layered.do(write_program) == [0o6755, 0o755] * 2
    check_disk(layered)
    daemon.unmount()


def test_links_renames_removals_and_whiteouts_are_there_after_mounting_again(layered: Somebody) -> None:
    daemon = layered.mount()

    def change() -> None:
        os.link("merged/mine", "merged/mine-too")
        os.chmod("merged/mine-too", 0o4711)
        os.mkfifo("merged/made-pipe", 0o600)
        os.symlink("mine", "merged/made-symlink")
        os.rename("merged/symlink", "merged/sticky/symlink")
        os.unlink("merged/program")
        os.unlink("merged/null")
        os.mkdir("merged/null")
        os.rename("merged/pipe", "merged/real-pipe")
        os.unlink("merged/linked")

    def look() -> dict[str, tuple[Shown, int]]:
        found = {}
        for name in (*os.listdir("merged"), "sticky/symlink"):
            path = f"merged/{name}"
            found[name] = (shown(path), 0 if os.path.isdir(path) else os.lstat(path).st_nlink)
        return found

    layered.do(change)
    found = layered.do(look)
    assert found.keys() == {
        "closed", "disk", "linked-too", "made-pipe", "made-symlink", "mine", "mine-too", "null", "of-seven", "open",
        "real-pipe", "secret", "shared", "sticky", "sticky/symlink",
    }  # fmt: skip
    assert found["mine"] == found["mine-too"] == (Shown(0o104711, NOBODY, NOBODY), 2)
    assert found["made-pipe"] == (Shown(0o010600, NOBODY, NOBODY), 1)
    assert found["real-pipe"] == (Shown(0o010666, 7, 8), 1)
    assert found["linked-too"] == (Shown(0o100666, 7, 8), 1)
    daemon.unmount()
    daemon = layered.mount()
    assert layered.do(look) == found
    assert layered.do(lambda: os.listdir("merged/null")) == []
    daemon.unmount()
    check_disk(layered)


def test_what_nobody_may_open_is_still_listed_with_its_attributes(user: Somebody) -> None:
    write(user.directory / "low", {"closed": Directory(mode=0o700, uid=1), "closed/x": File(), "f": File(mode=0o600)})
    for second in ("", ":low2"):
        (user.directory / "low2").mkdir(exist_ok=True)
        (user.directory / "low2/closed").mkdir(exist_ok=True)
        daemon = user.mount(f"lowerdir=low{second},upperdir=upper,workdir=work")
        assert user.do(lambda: sorted(os.listdir("merged"))) == ["closed", "f"]
        assert user.do(lambda: shown("merged/closed")) == Shown(0o040700, 1, 0)
        assert user.do(lambda: shown("merged/f")) == Shown(0o100600, 0, 0)
        assert errno_of(user, lambda: os.listdir("merged/closed")) == errno.EACCES
        assert errno_of(user, lambda: read("merged/f")) == errno.EACCES
        daemon.unmount()


def test_owners_and_devices_that_root_asks_for_are_recorded(user_with_guests: Somebody) -> None:
    user = user_with_guests
    write(user.directory / "low", LOW)
    daemon = user.mount("lowerdir=low,upperdir=upper,workdir=work,allow_other")
    root = f"user:0:{user.holder}"

    def change() -> None:
        os.chown("merged/mine", 5, 6)
        os.chown("merged/open", 5, 6)
        os.chown("merged/program", -1, 6)
        os.mknod("merged/made-null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod("merged/made-disk", stat.S_IFBLK | 0o660, os.makedev(8, 300))
        os.mkfifo("merged/roots-pipe", 0o600)
        Path("merged/roots").write_bytes(b"root's")
        os.mkdir("merged/roots-directory", 0o700)
        os.link("merged/made-null", "merged/null-too")

    names = ("mine", "open", "program", "made-null", "made-disk", "roots-pipe", "roots", "roots-directory", "null-too")

    def look() -> dict[str, Shown]:
        return {name: shown(f"merged/{name}") for name in names}

    expected = {
        "mine": Shown(0o100644, 5, 6),
        "open": Shown(0o040777, 5, 6),
        "program": Shown(0o100755, 0, 6),
        "made-null": Shown(0o020644, 0, 0, (1, 3)),
        "made-disk": Shown(0o060640, 0, 0, (8, 300)),
        "roots-pipe": Shown(0o010600, 0, 0),
        "roots": Shown(0o100644, 0, 0),
        "roots-directory": Shown(0o040700, 0, 0),
        "null-too": Shown(0o020644, 0, 0, (1, 3)),
    }
    user.do(change, who=root)
    assert user.do(look) == user.do(look, who=root) == expected
    assert errno_of(user, lambda: write_bytes("merged/roots", b"")) == errno.EACCES
    assert errno_of(user, lambda: os.listdir("merged/roots-directory")) == errno.EACCES
    daemon.unmount()
    check_disk(user)
    assert os.getxattr(user.directory / "upper/made-null", RECORD) == b"0:0:0644:char-1-3"
    daemon = user.mount()
    assert user.do(look) == expected
    daemon.unmount()


def test_others_are_let_in_only_where_the_administrator_allows_it(user: Somebody) -> None:
    result = user.unionfs("mount", "-o", "lowerdir=low,allow_other", "merged")
    assert result.returncode == 1
    assert result.stderr == (
        f"unionfs: error: cannot mount on {user.directory}/merged: fusermount3: option allow_other only allowed if"
        " 'user_allow_other' is set in /etc/fuse.conf\n"
    )
    daemon = user.mount()
    with pytest.raises(PermissionError):
        os.listdir(user.directory / "merged")
    daemon.unmount()


@pytest.mark.parametrize(("name", "mode"), [("low", 0o700), ("low", 0o711), ("upper", 0o755), ("work", 0o755)])
def test_a_layer_that_cannot_be_used_is_named_in_one_line(user: Somebody, name: str, mode: int) -> None:
    os.chown(user.directory / name, 0, 0)
    (user.directory / name).chmod(mode)
    result = user.unionfs("mount", "-o", "lowerdir=low,upperdir=upper,workdir=work", "merged")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"unionfs: error: {name}: Permission denied\n"
    assert not user.sees_mount()


def test_set_id_and_devices_cannot_be_asked_for(user: Somebody) -> None:
    for name in ("suid", "dev"):
        result = user.unionfs("mount", "-o", f"lowerdir=low,{name}", "merged")
        reason = f"option {name} needs the right to mount: with fusermount3 it is always no{name}"
        assert (result.returncode, result.stderr) == (1, f"unionfs: error: {reason}\n")


def test_the_daemon_detaches_and_a_user_ends_it(user: Somebody) -> None:
    write(user.directory / "low", LOW)
    result = user.unionfs("mount", "-o", "lowerdir=low,upperdir=upper,workdir=work", "merged")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert user.do(lambda: read("merged/mine")) == b"mine"
    result = user.unionfs("umount", "merged")
    assert (result.returncode, result.stderr) == (0, "")
    # The upper is free again when the daemon has ended.
    user.mount().unmount()


def test_an_upper_is_flattened_by_its_user(layered: Somebody) -> None:
    daemon = layered.mount("lowerdir=low,upperdir=upper,workdir=work,redirect_dir=on,metacopy=on")

    def change() -> None:
        os.chmod("merged/mine", 0o4700)
        os.rename("merged/open", "merged/sticky/moved")
        Path("merged/linked").write_bytes(b"both")

    def look() -> dict[str, tuple[Shown, bytes]]:
        names = ("mine", "sticky/moved/in", "linked", "linked-too", "shared")
        return {name: (shown(f"merged/{name}"), read(f"merged/{name}")) for name in names}

    layered.do(change)
    found = layered.do(look)
    daemon.unmount()
    result = layered.unionfs("flatten", "upper", "--lower", "low")
    assert (result.returncode, result.stderr) == (0, "")
    kept = {
        name
        for path in on_disk(layered)
        for name in os.listxattr(layered.directory / "upper" / path, follow_symlinks=False)
    }
    assert kept == {RECORD, "user.overlay.opaque"}
    check_disk(layered)
    daemon = layered.mount()
    assert layered.do(look) == found
    daemon.unmount()
