"""Which ids exist in a user namespace."""

import pytest

from unionfs.linux.ids import MappedIds, mapped_ids

EVERYTHING = b"         0          0 4294967295\n"
ONE = b"         0      65534          1\n"
RANGE = b"         0       1000          1\n         1     100000      65536\n"


def test_outside_of_any_user_namespace_every_id_exists() -> None:
    assert mapped_ids() is None
    assert MappedIds.parse(EVERYTHING, EVERYTHING, 0, 0).is_everything
    assert not MappedIds.parse(EVERYTHING, RANGE, 0, 0).is_everything


def test_ids_that_are_mapped_are_shown_as_they_are_and_others_as_ones_own() -> None:
    ids = MappedIds.parse(RANGE, ONE, 7, 0)
    assert [ids.shown_uid(uid) for uid in (0, 1, 65536, 65537, 100000, 0xFFFFFFFE)] == [0, 1, 65536, 7, 7, 7]
    assert [ids.shown_gid(gid) for gid in (0, 1, 65534)] == [0, 0, 0]
    assert ids.has(65536, 0)
    assert not ids.has(65536, 1)
    assert not ids.has(65537, 0)


@pytest.mark.parametrize(
    ("uids", "gids", "is_one"),
    [(ONE, ONE, True), (RANGE, ONE, False), (ONE, RANGE, False), (RANGE, RANGE, False), (b"", b"", True)],
)
def test_a_namespace_of_one_id_is_told_from_others(uids: bytes, gids: bytes, is_one: bool) -> None:
    assert MappedIds.parse(uids, gids, 0, 0).is_one == is_one


def test_another_id_than_ones_own_is_found_where_there_is_one() -> None:
    assert MappedIds.parse(RANGE, RANGE, 0, 0).another() == (65536, 65536)
    assert MappedIds.parse(RANGE, RANGE, 65536, 65536).another() == (0, 0)
    assert MappedIds.parse(RANGE, ONE, 0, 0).another() is None
