"""The arithmetic of ids: what one on disk is shown as, and back.

Source: fuse-overlayfs's manual page, and how its version 1.10 shows small directories.
"""

from pathlib import Path

import pytest

from unionfs.fuse.id_mapping import IdMapping, Range

# What podman gives for a container without root's ids (https://docs.podman.io, --uidmap): its root is the user 1000.
ROOTLESS: list[Range] = [(0, 1000, 1), (1, 100000, 65536)]
# As with --userns=keep-id for the user 1000, seen from within podman's own user namespace.
KEEP_ID: list[Range] = [(0, 1, 1000), (1000, 0, 1), (1001, 1001, 64536)]
OVERFLOW = int(Path("/proc/sys/kernel/overflowuid").read_text())


@pytest.mark.parametrize(
    ("ranges", "on_disk", "shown"),
    [
        (ROOTLESS, 0, 1000),
        (ROOTLESS, 1, 100000),
        (ROOTLESS, 65536, 165535),
        (KEEP_ID, 0, 1),
        (KEEP_ID, 999, 1000),
        (KEEP_ID, 1000, 0),
        (KEEP_ID, 1001, 1001),
        ([(0xFFFFFFFE, 0, 1)], 0xFFFFFFFE, 0),
    ],
)
def test_an_id_in_a_range_is_shown_as_its_counterpart_and_back(ranges: list[Range], on_disk: int, shown: int) -> None:
    ids = IdMapping.of(ranges, ranges)
    assert ids.owners(on_disk, on_disk) == (shown, shown)
    assert (ids.users.on_disk(shown), ids.groups.on_disk(shown)) == (on_disk, on_disk)


@pytest.mark.parametrize("on_disk", [65537, 100000, 0xFFFFFFFE])
def test_an_id_that_no_range_holds_is_shown_as_the_overflow_id(on_disk: int) -> None:
    ids = IdMapping.of(ROOTLESS, ROOTLESS)
    assert ids.owners(on_disk, on_disk) == (OVERFLOW, OVERFLOW)


@pytest.mark.parametrize("shown", [0, 999, 1001, 65534, 99999, 165536])
def test_an_id_that_no_range_shows_has_none_on_disk(shown: int) -> None:
    assert IdMapping.of(ROOTLESS).users.on_disk(shown) is None


def test_of_two_ranges_that_hold_an_id_the_last_counts() -> None:
    users = IdMapping.of([(0, 1000, 10), (5, 7000, 10), (20, 1005, 10)]).users
    assert [users.owner(on_disk) for on_disk in (4, 5, 9, 10)] == [1004, 7000, 7004, 7005]
    assert [users.on_disk(shown) for shown in (1004, 1005, 1009)] == [4, 20, 24]


def test_users_and_groups_are_mapped_apart() -> None:
    ids = IdMapping.of([(0, 1000, 10)])
    assert ids.owners(5, 5) == (1005, 5)
    assert ids.groups.on_disk(77) == 77


def test_squashed_owners_are_shown_as_one_and_kept_as_whose_they_are() -> None:
    ids = IdMapping.of(squash_to_uid=5, squash_to_root=True)
    assert ids.owners(1234, 1234) == (5, 0)
    assert (ids.users.on_disk(1234), ids.groups.on_disk(1234)) == (1234, 1234)


def test_what_is_squashed_and_mapped_is_kept_by_the_ranges() -> None:
    users = IdMapping.of([(0, 1000, 10)], squash_to_uid=5).users
    assert (users.owner(3), users.owner(700)) == (5, 5)
    assert (users.on_disk(1003), users.on_disk(5)) == (3, None)
    assert (users.shown(3), users.shown(700)) == (1003, None)


@pytest.mark.parametrize(
    ("ids", "is_identity"),
    [
        (IdMapping(), True),
        (IdMapping.of(), True),
        (IdMapping.of(gids=[(0, 1, 1)]), False),
        (IdMapping.of(squash_to_root=True), False),
        (IdMapping.of(squash_to_gid=0), False),
    ],
)
def test_nothing_is_mapped_unless_it_is_asked_for(ids: IdMapping, *, is_identity: bool) -> None:
    assert ids.is_identity == is_identity


@pytest.mark.parametrize("wrong", [(-1, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0xFFFFFFFF, 1), (0xFFFFFFFE, 0, 2)])
def test_what_is_no_range_of_ids_is_refused(wrong: Range) -> None:
    with pytest.raises(ValueError, match="not a range of ids"):
        IdMapping.of(uids=[wrong])
    with pytest.raises(ValueError, match="not a range of ids"):
        IdMapping.of(gids=[wrong])


@pytest.mark.parametrize("wrong", [-1, 0xFFFFFFFF])
def test_what_is_no_id_is_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match="isn't a uid"):
        IdMapping.of(squash_to_uid=wrong)
    with pytest.raises(ValueError, match="isn't a gid"):
        IdMapping.of(squash_to_gid=wrong)
