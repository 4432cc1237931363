"""Ids inside of requests and attribute values, translated between what a mount shows and what is on disk.

Sources: acl(5), capabilities(7) "Namespaced file capabilities" with struct vfs_ns_cap_data, mount_setattr(2) on
idmapped mounts.
"""

import errno
import struct

import pytest

from tests.posix.acl import acl
from unionfs.fuse.id_mapping import IdMapping
from unionfs.fuse.translation import Translation
from unionfs.union.union import Caller, Change

IDS = IdMapping.of([(0, 1000, 1), (1, 100000, 65536)], [(0, 2000, 1), (1, 200000, 65536)])
OVERFLOW = IDS.users.overflow
ACLS = (b"system.posix_acl_access", b"system.posix_acl_default")
CAPABILITY = b"security.capability"
V2 = struct.pack("<IIIII", 0x02000001, 1, 0, 0, 0)
NO_ID = 0xFFFFFFFF


def v3(root: int) -> bytes:
    """Give the capability CAP_CHOWN that holds where *root* is the root user."""
    return struct.pack("<IIIIII", 0x03000001, 1, 0, 0, 0, root)


@pytest.fixture
def mapped() -> Translation:
    return Translation(IDS)


def test_what_is_made_belongs_to_the_counterpart_of_the_caller(mapped: Translation) -> None:
    assert mapped.caller(100004, 200005, 0o22) == Caller(5, 6, 0o22)


def test_what_a_stranger_makes_belongs_to_the_overflow_id(mapped: Translation) -> None:
    assert mapped.caller(0, 2000, 0) == Caller(OVERFLOW, 0)
    assert mapped.caller(1000, 0, 0) == Caller(0, OVERFLOW)


def test_an_owner_is_given_by_its_shown_id(mapped: Translation) -> None:
    assert mapped.change(Change(uid=100004)) == Change(uid=5)
    assert mapped.change(Change(gid=2000, mode=0o600, size=3)) == Change(gid=0, mode=0o600, size=3)
    assert mapped.change(Change(mtime_ns=4)) == Change(mtime_ns=4)


@pytest.mark.parametrize("change", [Change(uid=5), Change(gid=5), Change(uid=1000, gid=1000)])
def test_an_owner_that_nothing_stands_for_is_refused(mapped: Translation, change: Change) -> None:
    with pytest.raises(OSError) as failure:  # noqa: PT011 - its errno is looked at
        mapped.change(change)
    assert failure.value.errno == errno.EOVERFLOW


@pytest.mark.parametrize("name", ACLS)
def test_the_users_and_groups_of_an_access_list_are_translated(mapped: Translation, name: bytes) -> None:
    on_disk = acl(owner=7, group=5, other=1, users={0: 7, 5: 6}, groups={0: 4, 9: 1}, mask=7)
    shown = acl(owner=7, group=5, other=1, users={1000: 7, 100004: 6}, groups={2000: 4, 200008: 1}, mask=7)
    assert mapped.xattr_shown(name, on_disk) == shown
    assert mapped.xattr_on_disk(name, shown) == on_disk


def test_what_an_access_list_names_besides_is_the_overflow_id_and_cannot_be_set(mapped: Translation) -> None:
    shown = mapped.xattr_shown(ACLS[0], acl(owner=7, group=5, other=1, users={99999: 7}, groups={88888: 6}, mask=7))
    assert shown == acl(owner=7, group=5, other=1, users={OVERFLOW: 7}, groups={OVERFLOW: 6}, mask=7)
    with pytest.raises(OSError) as failure:  # noqa: PT011 - its errno is looked at
        mapped.xattr_on_disk(ACLS[0], shown)
    assert failure.value.errno == errno.EINVAL


def test_a_capability_holds_for_the_counterpart_of_its_root(mapped: Translation) -> None:
    assert mapped.xattr_shown(CAPABILITY, v3(0)) == v3(1000)
    assert mapped.xattr_on_disk(CAPABILITY, v3(100004)) == v3(5)
    assert mapped.xattr_shown(CAPABILITY, v3(99999)) == v3(NO_ID)
    with pytest.raises(OSError) as failure:  # noqa: PT011 - its errno is looked at
        mapped.xattr_on_disk(CAPABILITY, v3(5))
    assert failure.value.errno == errno.EINVAL


@pytest.mark.parametrize("value", [V2, b"", v3(0)[:-1], v3(0).replace(b"\3", b"\4")])
def test_a_capability_that_names_no_root_stays(mapped: Translation, value: bytes) -> None:
    assert mapped.xattr_shown(CAPABILITY, value) == value
    assert mapped.xattr_on_disk(CAPABILITY, value) == value


def test_other_attributes_stay(mapped: Translation) -> None:
    value = v3(0)
    assert mapped.xattr_shown(b"user.anything", value) == value
    assert mapped.xattr_on_disk(b"user.anything", value) == value


def test_a_mount_that_maps_nothing_translates_nothing() -> None:
    plain = Translation(None)
    listed = acl(owner=7, group=5, other=1, users={5: 7}, mask=7)
    assert plain.caller(1, 2, 3) == Caller(1, 2, 3)
    assert plain.change(Change(uid=5, gid=NO_ID - 1)) == Change(uid=5, gid=NO_ID - 1)
    for name, value in ((ACLS[0], listed), (CAPABILITY, v3(5))):
        assert plain.xattr_shown(name, value) == plain.xattr_on_disk(name, value) == value


def test_squashing_leaves_attributes_as_they_are() -> None:
    squashed = Translation(IdMapping.of(squash_to_root=True))
    listed = acl(owner=7, group=5, other=1, users={5: 7, 6: 1}, groups={7: 1}, mask=7)
    for name, value in ((ACLS[0], listed), (CAPABILITY, v3(5))):
        assert squashed.xattr_shown(name, value) == squashed.xattr_on_disk(name, value) == value
