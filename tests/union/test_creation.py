"""New entries: whose they are, with which permissions, and what is refused (open(2), mkdir(2), inode(7), acl(5))."""

import errno
import os
import stat
from pathlib import Path

import pytest

from tests.posix.acl import ACCESS, DEFAULT, acl
from tests.stacks import OPAQUE, Directory, File, Layer
from tests.unions import EVERYTHING, Kernel, Stack
from unionfs.layer.attributes import Attributes
from unionfs.union.union import Caller

LISTED = acl(owner=7, group=7, other=5, users={1000: 7}, mask=7)
LOWER: Layer = {
    "plain/low": File(), "shared": Directory(mode=0o2775, uid=3, gid=44), "gone/below": File(),
    "listed": Directory(mode=0o755, xattrs={DEFAULT: LISTED}), "f": File(),
    "sealed": OPAQUE,
}  # fmt: skip
KINDS = {"file": stat.S_IFREG, "directory": stat.S_IFDIR, "symlink": stat.S_IFLNK, "fifo": stat.S_IFIFO}


@pytest.fixture(params=[True, False], ids=["owners", "recorded"])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [LOWER], EVERYTHING, owners=request.param)


def made(kernel: Kernel, path: str, mode: int, caller: Caller) -> Attributes:
    return kernel.create(path, mode, caller=caller, target=b"t" if stat.S_ISLNK(mode) else b"")


def again(stack: Stack, path: str) -> Attributes:
    """Look in another session."""
    with stack.opened() as kernel:
        return kernel.stat(path)


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_an_entry_is_the_callers_with_its_umask(stack: Stack, kind: str, umask: int) -> None:
    with stack.opened() as kernel:
        shown = made(kernel, "plain/new", KINDS[kind] | 0o775, Caller(1000, 1001, umask))
        assert (shown.uid, shown.gid, shown.mode) == (1000, 1001, KINDS[kind] | 0o775 & ~umask)
        assert shown.nlink == (2 if kind == "directory" else 1)
    found = again(stack, "plain/new")
    assert (found.uid, found.gid, found.mode) == (1000, 1001, KINDS[kind] | 0o775 & ~umask)


def test_a_symlink_has_all_permissions_whatever_the_umask(stack: Stack) -> None:
    with stack.opened() as kernel:
        assert made(kernel, "link", stat.S_IFLNK | 0o777, Caller(0, 0, 0o077)).mode == stat.S_IFLNK | 0o777


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_set_group_id_directory_hands_down_its_group(stack: Stack, kind: str, *, hidden: bool) -> None:
    with stack.opened() as kernel:
        if hidden:
            made(kernel, "shared/new", stat.S_IFREG | 0o600, Caller(0, 0))
            kernel.unlink("shared/new")
        shown = made(kernel, "shared/new", KINDS[kind] | 0o755, Caller(1000, 1001))
        assert (shown.uid, shown.gid) == (1000, 44)
        assert bool(shown.mode & stat.S_ISGID) == (kind == "directory")
    assert again(stack, "shared/new").mode == shown.mode


@pytest.mark.parametrize("caller", [Caller(0, 0, 0o077), Caller(1000, 1001, 0o077)], ids=["root", "user"])
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_default_access_list_takes_the_umasks_place(stack: Stack, kind: str, caller: Caller) -> None:
    with stack.opened() as kernel:
        shown = made(kernel, "listed/new", KINDS[kind] | 0o664, caller)
        assert shown.mode & 0o777 == 0o664
        xattrs = kernel.xattrs("listed/new")
        assert xattrs[ACCESS.encode()] == acl(owner=6, group=7, other=4, users={1000: 7}, mask=6)
        assert (xattrs.get(DEFAULT.encode()) == LISTED) == (kind == "directory")


def test_a_directory_over_a_hidden_one_shows_nothing_of_it(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.unlink("gone/below")
        kernel.rmdir("gone")
        kernel.mkdir("gone")
        assert kernel.names("gone") == []
    with stack.opened() as kernel:
        assert kernel.names("gone") == []
        kernel.rmdir("gone")
    with stack.opened() as kernel:
        assert kernel.lookup("gone") is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["plain/low", "f", "plain"])
def test_nothing_is_made_over_what_shows(stack: Stack, kind: str, path: str) -> None:
    with stack.opened() as kernel:
        with pytest.raises(FileExistsError):
            made(kernel, path, KINDS[kind] | 0o600, Caller(0, 0))
        assert list(stack.upper.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "error"),
    [("n" * 256, errno.ENAMETOOLONG), (".wh.x", errno.EINVAL), (".wh..wh..opq", errno.EINVAL), (".wh.", errno.EINVAL)],
)
def test_names_that_cannot_be_stored_are_refused(stack: Stack, name: str, error: int) -> None:
    with stack.opened() as kernel:
        for attempt in (
            lambda: kernel.union.create(1, name.encode(), stat.S_IFREG | 0o600, kernel.root_caller),
            lambda: kernel.link_number_at(kernel.number("f"), 1, name.encode()),
            lambda: kernel.rename_at(1, b"f", 1, name.encode()),
        ):
            with pytest.raises(OSError, match=os.strerror(error)):
                attempt()
        assert list(stack.upper.iterdir()) == []


def test_a_name_of_255_bytes_is_stored_and_hidden(stack: Stack) -> None:
    name = "n" * 255
    with stack.opened() as kernel:
        kernel.create(name)
        kernel.rename("f", name)
        kernel.unlink(name)
    assert stack.lower().joinpath("f").exists()
    with stack.opened() as kernel:
        assert sorted(kernel.names()) == ["gone", "listed", "plain", "sealed", "shared"]


def test_overlayfs_s_whiteout_cannot_be_made(stack: Stack) -> None:
    with stack.opened() as kernel, pytest.raises(PermissionError):
        kernel.create("zero", stat.S_IFCHR | 0o600, rdev=0)


@pytest.mark.parametrize("type_bits", [stat.S_IFCHR, stat.S_IFBLK])
def test_a_device_shows_its_number(stack: Stack, type_bits: int) -> None:
    with stack.opened() as kernel:
        shown = kernel.create("device", type_bits | 0o660, rdev=os.makedev(300, 70000), caller=Caller(1, 6))
        assert (shown.mode, shown.rdev, shown.uid) == (type_bits | 0o660, os.makedev(300, 70000), 1)
    found = again(stack, "device")
    assert (found.mode, found.rdev) == (type_bits | 0o660, os.makedev(300, 70000))
    on_disk = (stack.upper / "device").lstat().st_mode
    assert stat.S_IFMT(on_disk) == (type_bits if stack.owners else stat.S_IFREG)


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_a_fifo_or_socket_of_another_shows_as_one(stack: Stack, kind: str) -> None:
    type_bits = stat.S_IFIFO if kind == "fifo" else stat.S_IFSOCK
    with stack.opened() as kernel:
        shown = kernel.create("named", type_bits | 0o640, caller=Caller(1000, 1001))
        assert (shown.mode, shown.uid) == (type_bits | 0o640, 1000)
        kernel.change("named", mode=0o600)
        kernel.rename("named", "renamed")
        kernel.link("renamed", "linked")
    assert again(stack, "linked").mode == type_bits | 0o600


def test_a_parent_is_copied_up_with_its_attributes_and_then_has_new_times(stack: Stack) -> None:
    with stack.opened() as kernel:
        before = kernel.stat("shared")
        kernel.create("shared/new")
        after = kernel.stat("shared")
    assert (after.mode, after.uid, after.gid, after.ino) == (before.mode, before.uid, before.gid, before.ino)
    assert after.mtime_ns > before.mtime_ns


def test_the_times_of_the_directories_above_stay(stack: Stack) -> None:
    with stack.opened() as kernel:
        before = kernel.stat("plain").mtime_ns, kernel.union.getattr(1).mtime_ns
        kernel.write("plain/low", b"x")
        assert (kernel.stat("plain").mtime_ns, kernel.union.getattr(1).mtime_ns) == before
