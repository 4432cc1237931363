"""The ids of an ordinary user's namespace."""

import pytest

from unionfs.shell.id_maps import IdMaps, IdRange, _with_own, subordinate_ranges


def test_ranges_are_those_granted_to_the_user_by_name_or_number() -> None:
    text = b"ann:100000:65536\n7:300000:10\nbob:200000:65536\nann:400000:5\n"
    assert subordinate_ranges(text, [b"ann", b"7"]) == [
        range(100000, 165536), range(300000, 300010), range(400000, 400005),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line", [b"", b"ann", b"ann:1", b"ann:x:5", b"ann:5:-1", b"ann:5:0", b"ann:1:2:3", b"ann:4294967295:1", b"#ann:1:2"]
)
def test_what_grants_nothing_has_no_effect(line: bytes) -> None:
    assert subordinate_ranges(line, [b"ann"]) == []


def test_the_own_id_is_0_and_the_others_follow_without_a_gap() -> None:
    assert _with_own(1000, [range(100000, 165536), range(300000, 300010)]) == (
        IdRange(0, 1000, 1), IdRange(1, 100000, 65536), IdRange(65537, 300000, 10),
    )  # fmt: skip


def test_no_id_is_mapped_twice() -> None:
    granted = [range(990, 1010), range(100, 200), range(150, 250), range(200, 300)]
    assert _with_own(1000, granted) == (IdRange(0, 1000, 1), IdRange(1, 100, 100), IdRange(101, 200, 100))


def test_one_id_is_known_as_that() -> None:
    one, more = (IdRange(0, 5, 1),), (IdRange(0, 5, 1), IdRange(1, 100, 9))
    assert IdMaps(one, one).is_one
    assert not IdMaps(more, more).is_one
