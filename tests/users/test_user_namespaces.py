"""Mounts in a user namespace: its root mounts with mount(2), and fewer ids exist there.

An owner whose id doesn't exist in the namespace is shown as the one who mounts, since the kernel lets nobody change a
file whose owner it can't name (user_namespaces(7)). The overlay's marks are ``user.overlay.*`` there, its whiteouts
devices 0:0, which everybody may make since Linux 5.8.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.mounts import mount, unmount
from tests.ordinary_user import FIRST_SUBORDINATE, Somebody
from tests.posix.processes import NOBODY
from tests.posix.table import errno_of
from tests.stacks import Directory, File, HardLink, Layer, Symlink, write

RECORD = "user.containers.override_stat"
SEVEN = FIRST_SUBORDINATE + 6
"""Id 7 of a namespace with subordinate ids, since the first of those is 1."""
FAR = 200_000
LOW: Layer = {
    ".": Directory(uid=NOBODY, gid=NOBODY),
    "mine": File(b"mine", uid=NOBODY, gid=NOBODY),
    "of-root": File(b"root's", mode=0o644),
    "program": File(b"program", mode=0o4755),
    "far": File(b"far", uid=FAR, gid=FAR, mode=0o666),
    "link": Symlink("mine"),
    "of-seven": File(b"seven's", uid=SEVEN, gid=SEVEN, mode=0o600),
    "d/x": File(b"x"),
    "d/y": HardLink("d/x"),
    "closed": Directory(mode=0o700),
    "closed/in": File(),
    "recorded": File(b"recorded", mode=0o600, uid=NOBODY, gid=NOBODY, xattrs={RECORD: b"7:8:0640:file"}),
    "recorded-far": File(b"x", mode=0o600, uid=NOBODY, gid=NOBODY, xattrs={RECORD: b"70000:70001:4750:file"}),
    "null": File(mode=0o600, uid=NOBODY, gid=NOBODY, xattrs={RECORD: b"0:0:0666:char-1-3"}),
}


class Shown(NamedTuple):
    """Permissions, owner and group."""

    permissions: int
    uid: int
    gid: int


def shown(path: str | Path) -> Shown:
    found = os.lstat(path)
    return Shown(stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)


def look(*names: str) -> Callable[[], dict[str, Shown]]:
    return lambda: {name: shown(f"merged/{name}") for name in names}


def change_everything() -> dict[str, int]:
    """Do in the mount what its user may; give the errno of each change."""
    merged = Path("merged")
    changes: dict[str, Callable[[], object]] = {
        "write another's": lambda: (merged / "of-root").write_bytes(b"written"),
        "append to a far one's": lambda: (merged / "far").open("ab").write(b"!"),
        "chmod another's": lambda: (merged / "program").chmod(0o700),
        "create in another's directory": lambda: (merged / "d/new").write_bytes(b"new"),
        "link another's": lambda: os.link(merged / "d/x", merged / "d/z"),
        "unlink another's": (merged / "d/y").unlink,
        "rename another's": lambda: (merged / "link").rename(merged / "moved"),
        "utime another's": lambda: os.utime(merged / "d", (1, 1)),
        "set an attribute": lambda: os.setxattr(merged / "of-root", "user.k", b"v"),
        "write a recorded one's": lambda: (merged / "recorded").write_bytes(b"written"),
        "write a far recorded one's": lambda: (merged / "recorded-far").write_bytes(b"written"),
        "chmod a recorded device": lambda: (merged / "null").chmod(0o600),
        "mkdir": lambda: (merged / "made").mkdir(0o755),
        "set-id": lambda: (merged / "made").chmod(0o2775),
        "mkfifo": lambda: os.mkfifo(merged / "pipe", 0o600),
    }
    return {name: errno_of(change) for name, change in changes.items()}


NAMES = ("of-root", "far", "program", "d", "d/new", "d/x", "d/z", "moved", "recorded", "recorded-far", "null", "made")


def check_everything_is_changed(somebody: Somebody) -> None:
    """Change what may be changed, and find it after mounting anew."""
    daemon = somebody.mount()
    assert {name: number for name, number in somebody.do(change_everything).items() if number} == {}
    found = somebody.do(look(*NAMES))
    assert somebody.do(lambda: Path("merged/of-root").read_bytes()) == b"written"
    assert somebody.do(lambda: Path("merged/far").read_bytes()) == b"far!"
    assert somebody.do(lambda: os.lstat("merged/d/z").st_nlink) == 2
    daemon.unmount()
    daemon = somebody.mount()
    assert somebody.do(look(*NAMES)) == found
    assert somebody.do(lambda: sorted(os.listdir("merged/d"))) == ["new", "x", "z"]
    daemon.unmount()


def upper_owners(somebody: Somebody) -> dict[str, tuple[int, int]]:
    """Give who owns each entry of the upper, outside of the namespace."""
    upper = somebody.directory / "upper"
    found = {}
    for above, directories, files in os.walk(upper):
        for name in (*directories, *files):
            status = os.lstat(Path(above) / name)
            found[str((Path(above) / name).relative_to(upper))] = (status.st_uid, status.st_gid)
    return found


def test_the_root_of_a_namespace_mounts_by_itself(alone: Somebody) -> None:
    write(alone.directory / "low", LOW)
    daemon = alone.mount()
    table = Path(f"/proc/{alone.holder}/mountinfo").read_text()
    assert f" {alone.directory}/merged rw,nosuid,nodev," in table
    assert "fuse.unionfs" in table
    assert not (Path("/proc/self/mountinfo").read_text().count(str(alone.directory)))
    daemon.unmount()
    result = alone.unionfs("mount", "-o", "lowerdir=low", "merged")
    assert (result.returncode, result.stdout) == (0, "")
    assert alone.do(lambda: Path("merged/mine").read_bytes()) == b"mine"
    assert alone.unionfs("umount", "merged").returncode == 0


def test_with_one_id_everything_is_owned_by_it_and_one_line_says_so(alone: Somebody) -> None:
    write(alone.directory / "low", LOW)
    daemon = alone.mount()
    assert daemon.said == "unionfs: this user namespace has one id only: everything is shown as owned by it\n"
    names = (".", *sorted(path for path in LOW if path != "."))
    found = alone.do(look(*(name for name in names if name != "closed/in")))
    assert {(entry.uid, entry.gid) for entry in found.values()} == {(0, 0)}
    assert found["program"].permissions == 0o755
    assert found["recorded-far"].permissions == 0o750
    assert alone.do(lambda: errno_of(os.chown, "merged/mine", 5, -1)) != 0
    daemon.unmount()


def test_with_one_id_everything_can_be_changed_and_records_are_kept(alone: Somebody) -> None:
    write(alone.directory / "low", LOW)
    check_everything_is_changed(alone)
    upper = alone.directory / "upper"
    assert set(upper_owners(alone).values()) == {(NOBODY, NOBODY)}
    assert not any(path.lstat().st_mode & 0o6000 for path in upper.rglob("*"))
    assert os.getxattr(upper / "recorded", RECORD) == b"7:8:0640:file"
    assert os.getxattr(upper / "null", RECORD) == b"0:0:0600:char-1-3"
    assert os.getxattr(upper / "made", RECORD) == b"0:0:2775:dir"


def test_with_more_ids_owners_that_exist_are_real(mapped: Somebody) -> None:
    write(mapped.directory / "low", LOW)
    daemon = mapped.mount()
    assert daemon.said == ""
    assert mapped.do(look("mine", "of-seven", "recorded", "of-root", "far", "recorded-far")) == {
        "mine": Shown(0o644, 0, 0),
        "of-seven": Shown(0o600, 7, 7),
        "recorded": Shown(0o640, 7, 8),
        "of-root": Shown(0o644, 0, 0),
        "far": Shown(0o666, 0, 0),
        "recorded-far": Shown(0o750, 0, 0),
    }

    def change() -> None:
        os.chown("merged/mine", 5, 6)
        os.chown("merged/of-root", 1000, 1000)
        os.chmod("merged/of-seven", 0o4711)
        os.chmod("merged/recorded", 0o600)
        os.chmod("merged/recorded-far", 0o600)

    mapped.do(change)
    names = ("mine", "of-root", "of-seven", "recorded", "recorded-far")
    found = mapped.do(look(*names))
    assert found == {
        "mine": Shown(0o644, 5, 6),
        "of-root": Shown(0o644, 1000, 1000),
        "of-seven": Shown(0o4711, 7, 7),
        "recorded": Shown(0o600, 7, 8),
        "recorded-far": Shown(0o600, 0, 0),
    }
    daemon.unmount()
    assert upper_owners(mapped) == {
        "mine": (FIRST_SUBORDINATE + 4, FIRST_SUBORDINATE + 5),
        "of-root": (FIRST_SUBORDINATE + 999, FIRST_SUBORDINATE + 999),
        "of-seven": (SEVEN, SEVEN),
        "recorded": (SEVEN, SEVEN + 1),
        "recorded-far": (NOBODY, NOBODY),
    }
    upper = mapped.directory / "upper"
    assert os.getxattr(upper / "recorded-far", RECORD) == b"70000:70001:0600:file"
    assert RECORD not in os.listxattr(upper / "recorded")
    daemon = mapped.mount()
    assert mapped.do(look(*names)) == found
    daemon.unmount()


def test_with_more_ids_everything_can_be_changed(mapped: Somebody) -> None:
    write(mapped.directory / "low", LOW)
    check_everything_is_changed(mapped)
    assert os.getxattr(mapped.directory / "upper/null", RECORD) == b"0:0:0600:char-1-3"
    assert stat.S_IMODE((mapped.directory / "upper/made").stat().st_mode) == 0o2775


def test_marks_are_those_that_a_namespace_may_write(alone: Somebody) -> None:
    write(alone.directory / "low", LOW)
    daemon = alone.mount()

    def change() -> None:
        os.unlink("merged/d/x")
        os.unlink("merged/d/y")
        os.rmdir("merged/d")
        os.mkdir("merged/d")
        os.unlink("merged/mine")

    alone.do(change)
    daemon.unmount()
    upper = alone.directory / "upper"
    assert os.getxattr(upper / "d", "user.overlay.opaque") == b"y"
    whiteout = (upper / "mine").lstat()
    assert stat.S_ISCHR(whiteout.st_mode)
    assert whiteout.st_rdev == 0


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("kind", ["alone", "mapped"])
def test_an_upper_of_a_namespace_is_flattened_there_and_shown_by_overlayfs(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """Overlayfs is mounted in the same namespace, with the option that has it read ``user.overlay.*``."""
    somebody: Somebody = request.getfixturevalue(kind)
    write(somebody.directory / "low", {path: node for path, node in LOW.items() if RECORD not in node.xattrs})
    options = "lowerdir=low,upperdir=upper,workdir=work"
    daemon = somebody.mount(f"{options},redirect_dir=on,metacopy=on")

    def change() -> None:
        os.rename("merged/d", "merged/moved")
        os.chmod("merged/mine", 0o640)
        os.unlink("merged/far")
        Path("merged/moved/y").write_bytes(b"both")

    def look_at_all() -> dict[str, tuple[int, bytes]]:
        merged = Path("merged")
        files = [path for path in merged.rglob("*") if path.is_file() and not path.is_symlink()]
        return {str(path): (os.stat(path).st_nlink, path.read_bytes()) for path in files if "seven" not in path.name}

    somebody.do(change)
    found = somebody.do(look_at_all)
    daemon.unmount()
    result = somebody.unionfs("flatten", "-o", options)
    assert (result.returncode, result.stderr) == (0, "")

    def look_by_overlayfs() -> dict[str, tuple[int, bytes]]:
        mount("overlay", Path("merged"), "overlay", 0, f"{options},userxattr")
        try:
            return look_at_all()
        finally:
            unmount(Path("merged"))

    assert somebody.do(look_by_overlayfs) == found
