"""The calls that find, rename, clone and identify what lies in a directory."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounts import MS_BIND, mount, unmount_or_detach
from unionfs.linux import mounts
from unionfs.linux.files import clone_content, descriptor_path, reopen, sync_file_system
from unionfs.linux.handles import file_handle, open_by_handle
from unionfs.linux.rename import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, renameat2
from unionfs.linux.resolve import RESOLVE_IN_ROOT, openat2

DIRECTORY = os.O_PATH | os.O_DIRECTORY


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return Path(os.path.realpath(tmp_path))


@pytest.fixture
def fd(place: Path) -> Iterator[int]:
    opened = os.open(place, DIRECTORY)
    yield opened
    os.close(opened)


def test_a_path_beneath_is_opened(place: Path, fd: int) -> None:
    (place / "a/b").mkdir(parents=True)
    opened = openat2(fd, b"a/b", DIRECTORY)
    assert os.path.samestat(os.fstat(opened), (place / "a/b").stat())
    assert not os.get_inheritable(opened)
    os.close(opened)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (b"..", errno.EXDEV), (b"a/../..", errno.EXDEV), (b"/etc", errno.EXDEV), (b"link", errno.ELOOP),
        (b"link/b", errno.ELOOP), (b"outside", errno.ELOOP), (b"proc/self/root", errno.ELOOP),
        (b"missing", errno.ENOENT),
    ],
)  # fmt: skip
def test_no_path_leads_out(place: Path, fd: int, path: bytes, error: int) -> None:
    (place / "a/b").mkdir(parents=True)
    (place / "link").symlink_to("a")
    (place / "outside").symlink_to("/etc")
    (place / "proc").symlink_to("/proc")
    with pytest.raises(OSError, match=os.strerror(error)):
        openat2(fd, path, DIRECTORY)


def test_another_mount_is_not_entered(place: Path, fd: int) -> None:
    (place / "mounted").mkdir()
    mount("tmpfs", place / "mounted", "tmpfs")
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EXDEV)):
            openat2(fd, b"mounted", DIRECTORY)
    finally:
        unmount_or_detach(place / "mounted")


def test_a_link_can_be_followed_within_a_root(place: Path, fd: int) -> None:
    (place / "a").mkdir()
    (place / "link").symlink_to("/a")
    opened = openat2(fd, b"link", DIRECTORY, resolve=RESOLVE_IN_ROOT)
    assert os.path.samestat(os.fstat(opened), (place / "a").stat())
    os.close(opened)


def test_the_flags_of_rename(place: Path, fd: int) -> None:
    (place / "a").write_bytes(b"a")
    (place / "b").write_bytes(b"b")
    with pytest.raises(FileExistsError) as failure:
        renameat2(fd, b"a", fd, b"b", RENAME_NOREPLACE)
    assert failure.value.filename == b"a"
    renameat2(fd, b"a", fd, b"b", RENAME_EXCHANGE)
    assert ((place / "a").read_bytes(), (place / "b").read_bytes()) == (b"b", b"a")
    renameat2(fd, b"a", fd, b"c", RENAME_WHITEOUT)
    left = (place / "a").stat()
    assert stat.S_ISCHR(left.st_mode)
    assert left.st_rdev == 0
    renameat2(fd, b"c", fd, b"b")
    assert (place / "b").read_bytes() == b"b"


def test_a_handle_names_an_inode_and_not_a_path(place: Path, fd: int) -> None:
    (place / "a").touch()
    (place / "b").touch()
    (place / "link").symlink_to("a")
    os.link(place / "a", place / "c")
    handle = file_handle(fd, b"a")
    assert handle == file_handle(fd, b"c")
    assert len({handle, file_handle(fd, b"b"), file_handle(fd, b"link"), file_handle(fd)}) == 4
    (place / "a").rename(place / "d")
    assert file_handle(fd, b"d") == handle
    with pytest.raises(FileNotFoundError):
        file_handle(fd, b"a")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root opens by handle")
def test_what_a_handle_names_is_opened_until_it_is_gone(place: Path, fd: int) -> None:
    (place / "a").write_bytes(b"content")
    handle = file_handle(fd, b"a")
    (place / "a").rename(place / "b")
    mount = os.open(place, os.O_RDONLY)
    try:
        opened = open_by_handle(mount, handle, os.O_RDONLY)
        assert os.read(opened, 9) == b"content"
        os.close(opened)
        (place / "b").unlink()
        with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
            open_by_handle(mount, handle, os.O_RDONLY)
    finally:
        os.close(mount)


def test_a_file_system_without_handles_says_so() -> None:
    proc = os.open("/proc", DIRECTORY)
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EOPNOTSUPP)):
            file_handle(proc, b"self")
    finally:
        os.close(proc)


def test_a_clone_of_a_mount_is_private(place: Path, fd: int) -> None:
    (place / "f").touch()
    clone = mounts.clone_tree(fd)
    try:
        assert not os.get_inheritable(clone)
        assert mounts.mount_of(clone) != mounts.mount_of(fd)
        mounts.set_mount_attributes(clone, set_=mounts.MOUNT_ATTR_RDONLY)
        with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
            os.unlink(b"f", dir_fd=clone)
        os.unlink(b"f", dir_fd=fd)
        mounts.set_mount_attributes(clone, clear=mounts.MOUNT_ATTR_RDONLY)
        os.mkdir(b"d", dir_fd=clone)
        with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
            mounts.set_mount_attributes(clone, set_=1 << 40)
    finally:
        os.close(clone)


def test_the_mount_of_a_descriptor_is_told(place: Path, fd: int) -> None:
    (place / "view").mkdir()
    (place / "a").mkdir()
    mount(str(place / "a"), place / "view", "none", MS_BIND)
    try:
        inside, other = os.open(place / "a", DIRECTORY), os.open(place / "view", DIRECTORY)
        assert mounts.mount_of(inside) == mounts.mount_of(fd)
        assert mounts.mount_of(other) != mounts.mount_of(fd)
        os.close(inside)
        os.close(other)
    finally:
        unmount_or_detach(place / "view")


def test_unmounting_what_isnt_mounted_is_an_error(place: Path) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        mounts.umount2(os.fsencode(place))


def test_a_file_is_opened_anew_through_its_descriptor(place: Path) -> None:
    (place / "f").write_bytes(b"content")
    known = os.open(place / "f", os.O_PATH)
    (place / "f").rename(place / "g")
    opened = reopen(known, os.O_RDONLY)
    assert os.read(opened, 10) == b"content"
    assert os.path.samestat(os.stat(descriptor_path(known)), (place / "g").stat())
    sync_file_system(opened)
    os.close(opened)
    os.close(known)


def test_a_reflink_is_made_or_refused_by_name(place: Path) -> None:
    (place / "a").write_bytes(b"content")
    source, target = os.open(place / "a", os.O_RDONLY), os.open(place / "b", os.O_RDWR | os.O_CREAT)
    try:
        clone_content(source, target)
    except OSError as error:
        refusal = error.errno
    else:
        refusal = None
    # ext4 and tmpfs have none; btrfs and xfs do.
    assert refusal in {None, errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL}
    assert os.pread(target, 10, 0) == (b"" if refusal else b"content")
    os.close(source)
    os.close(target)
