"""Mounts that show other ids than those on disk, over each transport, and what the kernel may keep of them."""

import errno
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fuse.presented import presented
from tests.posix.acl import ACCESS, DEFAULT, acl
from tests.posix.processes import as_user
from tests.stacks import Directory, File, Layer
from tests.unions import Stack
from unionfs.fuse.id_mapping import IdMapping

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away, and becomes somebody else")

# Root of the container is 1000 outside, and all others there are from 100000 on.
MAPPED = IdMapping.of([(0, 1000, 1), (1, 100000, 65536)], [(0, 1000, 1), (1, 100000, 65536)])
OVERFLOW = MAPPED.users.overflow
LOWER: Layer = {
    "root": File(b"root"),
    "user": File(b"user", mode=0o600, uid=5, gid=6),
    "stranger": File(b"stranger", uid=77777, gid=88888),
    "d": Directory(mode=0o777, uid=5, gid=6),
    "setgid": Directory(mode=0o2777, gid=6),
    "listed": File(b"listed", xattrs={ACCESS: acl(owner=6, group=0, other=0, users={9: 4}, groups={8: 6}, mask=6)}),
}


@pytest.fixture(params=["kernel", "pyfuse3"])
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


class Mounted:
    """A mount at ``path``, entered through a descriptor that lets those in who may not pass the directories above."""

    def __init__(self, path: Path, stack: Stack, root: int) -> None:
        self.path = path
        self.upper = stack.upper
        self.root = root

    def owner(self, name: str) -> tuple[int, int]:
        found = (self.path / name).lstat()
        return found.st_uid, found.st_gid

    def owner_on_disk(self, name: str) -> tuple[int, int]:
        found = (self.upper / name).lstat()
        return found.st_uid, found.st_gid

    def make(self, name: str) -> None:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=self.root))


@contextmanager
def mounted(directory: Path, transport: str, **options: Any) -> Iterator[Mounted]:
    stack = Stack(directory / "stack", [LOWER])
    stack.upper.chmod(0o777)
    with presented(stack, directory / "mount", transport, **options) as path:
        root = os.open(path, os.O_PATH)
        try:
            yield Mounted(path, stack, root)
        finally:
            os.close(root)


@pytest.fixture
def mapped(tmp_path: Path, transport: str) -> Iterator[Mounted]:
    with mounted(tmp_path, transport, ids=MAPPED) as mount:
        yield mount


def test_owners_are_shown_by_their_counterparts(mapped: Mounted) -> None:
    assert mapped.owner("root") == (1000, 1000)
    assert mapped.owner("user") == mapped.owner("d") == (100004, 100005)
    assert mapped.owner("stranger") == (OVERFLOW, OVERFLOW)
    with os.scandir(mapped.path) as listed:
        shown = {entry.name: entry.stat(follow_symlinks=False).st_uid for entry in listed}
    assert shown["user"] == 100004
    assert os.listdir(mapped.upper) == []


def test_the_kernel_checks_permissions_by_the_shown_owners(mapped: Mounted) -> None:
    def read() -> bytes:
        descriptor = os.open("user", os.O_RDONLY, dir_fd=mapped.root)
        return os.read(descriptor, 9)

    assert as_user(read, 100004, 100005) == b"user"
    with pytest.raises(PermissionError):
        as_user(read, 5, 6)


def test_what_is_made_belongs_to_the_counterpart_of_who_makes_it(mapped: Mounted) -> None:
    def make() -> None:
        mapped.make("file")
        os.mkdir("directory", dir_fd=mapped.root)
        os.symlink("target", "link", dir_fd=mapped.root)
        os.mkfifo("fifo", dir_fd=mapped.root)

    as_user(make, 100009, 100008)
    for name in ("file", "directory", "link", "fifo"):
        assert mapped.owner(name) == (100009, 100008)
        assert mapped.owner_on_disk(name) == (10, 9)


def test_a_set_group_id_directory_hands_its_group_on(mapped: Mounted) -> None:
    as_user(lambda: mapped.make("setgid/file"), 100009, 100008)
    assert mapped.owner("setgid/file") == (100009, 100005)
    assert mapped.owner_on_disk("setgid/file") == (10, 6)


def test_what_a_stranger_makes_belongs_to_the_overflow_id_and_can_be_given_away(mapped: Mounted) -> None:
    mapped.make("file")
    assert mapped.owner_on_disk("file") == (OVERFLOW, OVERFLOW)
    os.chown(mapped.path / "file", 1000, 1000)
    assert (mapped.owner("file"), mapped.owner_on_disk("file")) == ((1000, 1000), (0, 0))


def test_a_new_owner_is_named_by_the_shown_id(mapped: Mounted) -> None:
    os.chown(mapped.path / "user", 100009, -1)
    assert mapped.owner("user") == (100009, 100005)
    assert mapped.owner_on_disk("user") == (10, 6)
    os.chown(mapped.path / "user", -1, 1000)
    assert mapped.owner_on_disk("user") == (10, 0)


@pytest.mark.parametrize(("uid", "gid"), [(5, -1), (-1, 5), (0, 0)])
def test_an_owner_without_counterpart_is_refused_and_nothing_is_copied(mapped: Mounted, uid: int, gid: int) -> None:
    with pytest.raises(OSError) as failure:  # noqa: PT011 - its errno is looked at
        os.chown(mapped.path / "user", uid, gid)
    assert failure.value.errno == errno.EOVERFLOW
    assert mapped.owner("user") == (100004, 100005)
    assert os.listdir(mapped.upper) == []


def test_what_is_copied_up_keeps_its_owner_even_one_that_does_not_show(mapped: Mounted) -> None:
    for name, owner in (("user", (5, 6)), ("stranger", (77777, 88888)), ("d", (5, 6))):
        shown = mapped.owner(name)
        (mapped.path / name).chmod(0o711)
        assert (mapped.owner(name), mapped.owner_on_disk(name)) == (shown, owner)


def test_a_removed_directory_that_is_in_use_keeps_its_owner(mapped: Mounted) -> None:
    with os.scandir(mapped.path / "d"):
        used = os.open(mapped.path / "d", os.O_RDONLY)
    try:
        (mapped.path / "d").rmdir()
        for _ in range(3):
            os.utime(used)
            assert (os.fstat(used).st_uid, os.fstat(used).st_gid) == (100004, 100005)
        os.chown(used, 100009, -1)
        assert os.fstat(used).st_uid == 100009
    finally:
        os.close(used)


def test_access_lists_name_users_and_groups_by_their_shown_ids(mapped: Mounted) -> None:
    shown = acl(owner=6, group=0, other=0, users={100008: 4}, groups={100007: 6}, mask=6)
    assert os.getxattr(mapped.path / "listed", ACCESS) == shown
    wanted = acl(owner=6, group=4, other=0, users={1000: 6, 100004: 4}, groups={100005: 2}, mask=6)
    os.setxattr(mapped.path / "listed", ACCESS, wanted)
    os.setxattr(mapped.path / "d", DEFAULT, wanted)
    on_disk = acl(owner=6, group=4, other=0, users={0: 6, 5: 4}, groups={6: 2}, mask=6)
    assert os.getxattr(mapped.upper / "listed", ACCESS) == os.getxattr(mapped.upper / "d", DEFAULT) == on_disk
    assert os.getxattr(mapped.path / "listed", ACCESS) == os.getxattr(mapped.path / "d", DEFAULT) == wanted
    as_user(lambda: mapped.make("d/inherits"), 100009, 100008)
    inherited = os.getxattr(mapped.path / "d/inherits", ACCESS)
    assert [inherited[start : start + 8] for start in range(4, len(inherited), 8)][1] == struct.pack("<HHI", 2, 6, 1000)


def test_access_lists_are_checked_by_the_shown_ids(mapped: Mounted) -> None:
    def read() -> None:
        os.close(os.open("listed", os.O_RDONLY, dir_fd=mapped.root))

    as_user(read, 100008, 100001)
    with pytest.raises(PermissionError):
        as_user(read, 9, 100001)


def test_an_access_list_cannot_name_who_has_no_counterpart(mapped: Mounted) -> None:
    with pytest.raises(OSError) as failure:  # noqa: PT011 - its errno is looked at
        os.setxattr(mapped.path / "listed", ACCESS, acl(owner=6, group=4, other=0, users={5: 6}, mask=6))
    assert failure.value.errno == errno.EINVAL


def test_a_capability_for_the_root_of_a_namespace_is_kept_for_its_counterpart(mapped: Mounted) -> None:
    def capability(root: int) -> bytes:
        return struct.pack("<IIIIII", 0x03000001, 1, 0, 0, 0, root)

    os.setxattr(mapped.path / "root", "security.capability", capability(100004))
    assert os.getxattr(mapped.path / "root", "security.capability") == capability(100004)
    assert os.getxattr(mapped.upper / "root", "security.capability") == capability(5)


@pytest.mark.parametrize(
    ("squash", "shown"),
    [
        ({"squash_to_root": True}, (0, 0)),
        ({"squash_to_uid": 1234, "squash_to_gid": 5678}, (1234, 5678)),
    ],
)
def test_squashed_owners_show_as_one_and_stay_what_they_are_on_disk(
    tmp_path: Path, transport: str, squash: dict[str, Any], shown: Sequence[int]
) -> None:
    with mounted(tmp_path, transport, ids=IdMapping.of(**squash)) as mount:
        (mount.path / "user").chmod(0o711)
        as_user(lambda: mount.make("file"), 100009, 100008)
        os.chown(mount.path / "root", 77, 78)
        for name, on_disk in (("user", (5, 6)), ("file", (100009, 100008)), ("root", (77, 78))):
            assert mount.owner(name) == shown
            assert mount.owner_on_disk(name) == on_disk
        assert mount.owner("stranger") == mount.owner("d") == shown
