"""Changing what an inode shows: permissions, owners, times and extended attributes (chmod(2), chown(2), xattr(7)).

Each is tried where owners can be set and where they are recorded, on files of the lower, of the upper, and on others.
"""

import errno
import os
import stat
from pathlib import Path

import pytest

from tests.faults import failing
from tests.posix.acl import ACCESS, acl
from tests.stacks import OPAQUE, Directory, Fifo, File, HardLink, Layer, Symlink
from tests.unions import EVERYTHING, Stack
from unionfs.linux.xattrs import CREATE, REPLACE
from unionfs.union.step import run
from unionfs.union.union import Settings

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
LISTED = acl(owner=6, group=4, other=0, users={1000: 7}, mask=7)
LOWER: Layer = {
    "f": File(b"content", mode=0o644, uid=1, gid=2, xattrs={"user.a": b"1", "user.empty": b""}),
    "d": Directory(mode=0o751, xattrs={"user.d": b"1"}), "d/x": File(), "s": Symlink("t"), "fifo": Fifo(mode=0o600),
    "set-id": File(b"#!", mode=0o6755), "setgid-dir": Directory(mode=0o2755), "linked": HardLink("f"),
    "capable": File(b"x", xattrs={"security.capability": CAPABILITY}),
    "listed": File(b"x", mode=0o670, xattrs={ACCESS: LISTED}),
    "private": OPAQUE,
    "recorded": File(b"x", xattrs={"user.containers.override_stat": b"7:8:0604:file"}),
    "escaped": File(
        xattrs={"trusted.overlay.overlay.opaque": b"theirs", "user.containers.overlay.override_stat": b"t"}
    ),
}  # fmt: skip


@pytest.fixture(params=[True, False], ids=["owners", "recorded"])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [LOWER], EVERYTHING, owners=request.param)


@pytest.mark.parametrize("path", ["f", "d", "fifo", "linked", "recorded"])
def test_permissions_and_owner_are_what_was_asked_for(stack: Stack, path: str) -> None:
    with stack.opened() as kernel:
        before = kernel.stat(path)
        for mode, uid, gid in ((0o700, 5, 6), (0o644, 65534, 6), (0o1777 if path == "d" else 0o600, 0, 0)):
            shown = kernel.change(path, mode=mode, uid=uid, gid=gid)
            assert (shown.mode & 0o7777, shown.uid, shown.gid) == (mode, uid, gid)
            assert (shown.ino, shown.size, shown.type_bits) == (before.ino, before.size, before.type_bits)
        assert shown.mtime_ns == before.mtime_ns
        assert shown.ctime_ns >= before.ctime_ns
    with stack.opened() as kernel:
        found = kernel.stat(path)
        assert (found.mode, found.uid, found.gid) == (shown.mode, shown.uid, shown.gid)
        assert found.ino == before.ino


def test_a_symlink_itself_changes_its_owner(stack: Stack) -> None:
    with stack.opened() as kernel:
        shown = kernel.change("s", uid=5, gid=6)
        assert kernel.union.readlink(kernel.number("s")) == b"t"
        if stack.owners:
            assert (shown.uid, shown.gid) == (5, 6)


def test_a_change_of_owner_takes_set_id_bits_from_programs(stack: Stack) -> None:
    with stack.opened() as kernel:
        assert kernel.change("set-id", uid=5).mode & 0o7777 == 0o755
        assert kernel.change("set-id", mode=0o6711).mode & 0o7777 == 0o6711
        assert kernel.change("set-id", mode=0o4711, uid=6).mode & 0o7777 == 0o4711
        assert kernel.change("setgid-dir", gid=6).mode & 0o7777 == 0o2755


def test_a_change_of_owner_takes_capabilities(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.change("capable", mode=0o700)
        assert kernel.xattrs("capable") == {b"security.capability": CAPABILITY}
        kernel.change("capable", uid=5)
        assert kernel.xattrs("capable") == {}, "chown(2)"


@pytest.mark.parametrize("path", ["f", "d", "s", "fifo"])
@pytest.mark.parametrize("when", [0, -1_500_000_001, 4_294_967_296_000_000_007, 1])
def test_times_are_exact_to_the_nanosecond(stack: Stack, path: str, when: int) -> None:
    with stack.opened() as kernel:
        before = kernel.stat(path)
        shown = kernel.change(path, mtime_ns=when)
        assert (shown.mtime_ns, shown.atime_ns) == (when, before.atime_ns)
        shown = kernel.change(path, atime_ns=when + 1)
        assert (shown.mtime_ns, shown.atime_ns) == (when, when + 1)
    with stack.opened() as kernel:
        assert (kernel.stat(path).mtime_ns, kernel.stat(path).atime_ns) == (when, when + 1)


def test_a_directory_has_no_size_to_set(stack: Stack) -> None:
    with stack.opened() as kernel, pytest.raises(IsADirectoryError):
        kernel.change("d", size=0)


def test_the_root_is_changed_like_any_other(stack: Stack) -> None:
    with stack.opened() as kernel:
        shown = kernel.change_number(1, mode=0o711, uid=5, gid=6, mtime_ns=7)
        assert (shown.mode & 0o7777, shown.uid, shown.gid, shown.mtime_ns, shown.ino) == (0o711, 5, 6, 7, 1)
        run(kernel.union.setxattr(1, b"user.root", b"1", 0))
        assert kernel.xattrs(".") == {b"user.root": b"1"}
    with stack.opened() as kernel:
        shown = kernel.union.getattr(1)
        assert (shown.mode & 0o7777, shown.uid, shown.gid) == (0o711, 5, 6)


@pytest.mark.parametrize("path", ["f", "d"])
def test_an_attribute_is_set_read_and_removed(stack: Stack, path: str) -> None:
    with stack.opened() as kernel:
        before = kernel.xattrs(path)
        kernel.set_xattr(path, b"user.new", b"\0\xff")
        kernel.set_xattr(path, b"user.nothing", b"")
        assert kernel.xattrs(path) == before | {b"user.new": b"\0\xff", b"user.nothing": b""}
        run(kernel.union.removexattr(kernel.number(path), b"user.new"))
        for name in before:
            run(kernel.union.removexattr(kernel.number(path), name))
        assert kernel.xattrs(path) == {b"user.nothing": b""}
    with stack.opened() as kernel:
        assert kernel.xattrs(path) == {b"user.nothing": b""}


@pytest.mark.parametrize(
    ("name", "flags", "error"), [(b"user.a", CREATE, errno.EEXIST), (b"user.z", REPLACE, errno.ENODATA)]
)
def test_flags_are_checked_before_anything_is_copied(stack: Stack, name: bytes, flags: int, error: int) -> None:
    with stack.opened() as kernel:
        number = kernel.number("f")
        with pytest.raises(OSError, match=os.strerror(error)):
            run(kernel.union.setxattr(number, name, b"x", flags))
        with pytest.raises(OSError, match=os.strerror(errno.ENODATA)):
            run(kernel.union.removexattr(number, b"user.z"))
        assert list(stack.upper.iterdir()) == []
        run(kernel.union.setxattr(number, b"user.a", b"2", REPLACE))
        run(kernel.union.setxattr(number, b"user.z", b"3", CREATE))
        assert kernel.union.getxattr(number, b"user.a") == b"2"


LAYERS_OWN = [
    b"trusted.overlay.opaque", b"trusted.overlay.redirect", b"trusted.overlay.metacopy", b"trusted.overlay.whiteout",
    b"trusted.overlay.unionfs.origin", b"user.overlay.opaque", b"user.fuseoverlayfs.opaque",
    b"user.containers.override_stat", b"trusted.overlay.overlay.opaque",
]  # fmt: skip


@pytest.mark.parametrize("name", LAYERS_OWN)
@pytest.mark.parametrize("path", ["f", "d"])
def test_an_attribute_that_looks_like_the_layers_is_the_users_own(stack: Stack, path: str, name: bytes) -> None:
    with stack.opened() as kernel:
        before, shown = kernel.xattrs(path), kernel.stat(path)
        assert name not in before
        kernel.set_xattr(path, name, b"y")
        assert kernel.xattrs(path) == before | {name: b"y"}
    with stack.opened() as kernel:
        assert kernel.xattrs(path) == before | {name: b"y"}
        assert sorted(kernel.names("d")) == ["x"]
        again = kernel.stat(path)
        assert (again.mode, again.uid) == (shown.mode, shown.uid)
        run(kernel.union.removexattr(kernel.number(path), name))
        assert kernel.xattrs(path) == before


def test_attributes_of_the_layer_are_not_shown_and_those_of_a_mount_in_it_are(stack: Stack) -> None:
    with stack.opened() as kernel:
        assert kernel.xattrs("private") == {}
        assert kernel.xattrs("recorded") == {}
        assert kernel.xattrs("escaped") == {
            b"trusted.overlay.opaque": b"theirs",
            b"user.containers.override_stat": b"t",
        }
        kernel.change("escaped", mode=0o600)
        assert kernel.xattrs("escaped") == {
            b"trusted.overlay.opaque": b"theirs",
            b"user.containers.override_stat": b"t",
        }
        with pytest.raises(OSError, match=os.strerror(errno.ENODATA)):
            kernel.union.getxattr(kernel.number("private"), b"trusted.overlay.opaque")


def test_a_name_that_grows_too_long_by_its_escape_is_refused(stack: Stack) -> None:
    name = b"trusted.overlay." + b"x" * 239
    assert len(name) == 255
    with stack.opened() as kernel:
        with pytest.raises(OSError, match=os.strerror(errno.EOPNOTSUPP)):
            kernel.set_xattr("f", name, b"1")
        kernel.set_xattr("f", b"user." + b"x" * 250, b"1")


def test_trusted_attributes_are_listed_only_for_those_who_may_see_them(stack: Stack) -> None:
    asked: list[bool] = []

    def may(*, answer: bool) -> bool:
        asked.append(answer)
        return answer

    with stack.opened() as kernel:
        number = kernel.number("f")
        assert b"user.a" in kernel.union.listxattr(number, lambda: may(answer=True))
        assert asked == []
        kernel.set_xattr("f", b"trusted.t", b"1")
        assert b"trusted.t" in kernel.union.listxattr(number, lambda: may(answer=True))
        assert b"trusted.t" not in kernel.union.listxattr(number, lambda: may(answer=False))
        assert asked == [True, False]


def test_permissions_and_access_list_follow_each_other(stack: Stack) -> None:
    with stack.opened() as kernel:
        assert kernel.xattrs("listed")[ACCESS.encode()] == LISTED
        kernel.change("listed", mode=0o640)
        assert kernel.xattrs("listed")[ACCESS.encode()] == acl(owner=6, group=4, other=0, users={1000: 7}, mask=4)
        kernel.set_xattr("listed", ACCESS.encode(), acl(owner=7, group=1, other=2, users={1000: 7}, mask=3))
        assert kernel.stat("listed").mode & 0o7777 == 0o732
        kernel.set_xattr("f", ACCESS.encode(), acl(owner=6, group=0, other=0, groups={50: 6}, mask=6))
        assert kernel.stat("f").mode & 0o7777 == 0o660
        run(kernel.union.removexattr(kernel.number("f"), ACCESS.encode()))
        assert ACCESS.encode() not in kernel.xattrs("f")
    with stack.opened() as kernel:
        assert kernel.stat("listed").mode & 0o7777 == 0o732


def test_a_union_without_access_lists_shows_and_takes_none(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [LOWER], Settings(acl=False))
    with stack.opened() as kernel:
        number = kernel.number("listed")
        assert kernel.union.listxattr(number, lambda: True) == []
        for attempt in (
            lambda: kernel.union.getxattr(number, ACCESS.encode()),
            lambda: kernel.set_xattr("f", ACCESS.encode(), LISTED),
            lambda: run(kernel.union.removexattr(number, ACCESS.encode())),
        ):
            with pytest.raises(OSError, match=os.strerror(errno.EOPNOTSUPP)):
                attempt()


def test_a_lower_that_says_who_owns_a_file_is_believed(stack: Stack) -> None:
    with stack.opened() as kernel:
        shown = kernel.stat("recorded")
        assert (shown.uid, shown.gid, shown.mode) == (7, 8, stat.S_IFREG | 0o604)
        kernel.write("recorded", b"y")
        shown = kernel.stat("recorded")
        assert (shown.uid, shown.gid, shown.mode) == (7, 8, stat.S_IFREG | 0o604)
    found = (stack.upper / "recorded").stat()
    if stack.owners:
        assert (found.st_uid, found.st_gid, found.st_mode) == (7, 8, stat.S_IFREG | 0o604)
        assert "user.containers.override_stat" not in os.listxattr(stack.upper / "recorded")
    else:
        assert os.getxattr(stack.upper / "recorded", "user.containers.override_stat") == b"7:8:0604:file"


def test_what_was_recorded_becomes_real_when_owners_can_be_set(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [LOWER], EVERYTHING, owners=False)
    with stack.opened() as kernel:
        kernel.change("f", mode=0o4711, uid=9)
        kernel.change("d", mode=0o511, uid=9)
    stack.owners = True
    with stack.opened() as kernel:
        assert (kernel.stat("f").mode & 0o7777, kernel.stat("f").uid) == (0o4711, 9)
        kernel.change("f", mode=0o4710)
        kernel.change("d", gid=5)
        assert (kernel.stat("f").mode & 0o7777, kernel.stat("f").uid) == (0o4710, 9)
        assert (kernel.stat("d").mode & 0o7777, kernel.stat("d").uid, kernel.stat("d").gid) == (0o511, 9, 5)
    found = (stack.upper / "f").stat()
    assert (found.st_mode & 0o7777, found.st_uid) == (0o4710, 9)


@pytest.mark.parametrize("call", [1, 2])
def test_a_mode_that_cannot_be_recorded_leaves_the_one_before(tmp_path: Path, call: int) -> None:
    stack = Stack(tmp_path / "stack", settings=EVERYTHING, owners=False)
    with stack.opened() as kernel:
        kernel.create("f", stat.S_IFREG | 0o644)
        with failing(call) as fault, pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            kernel.change("f", mode=0o4755)
        assert fault.failed == ("chmod", "_setxattr")[call - 1]
        assert kernel.stat("f").mode & 0o7777 == 0o644
    with stack.opened() as kernel:
        assert kernel.stat("f").mode & 0o7777 == 0o644
