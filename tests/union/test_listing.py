"""The order of a directory's names while it changes (POSIX readdir, telldir)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stacks import File
from tests.unions import EVERYTHING, Stack
from unionfs.union import listing
from unionfs.union.listing import LAST_COOKIE, LAST_DOT_COOKIE, Listing


def names_after(of: Listing, cookie: int = LAST_DOT_COOKIE) -> list[bytes]:
    return [name for name, _ in of.after(cookie)]


def test_names_come_in_the_order_given() -> None:
    assert names_after(Listing([b"c", b"a", b"b"])) == [b"c", b"a", b"b"]
    assert names_after(Listing([])) == []
    assert len(Listing([b"c", b"a"])) == 2


def test_a_listing_goes_on_behind_each_cookie_whatever_was_removed() -> None:
    names = [b"%d" % number for number in range(200)]
    order = Listing(names)
    cookies = dict(order.after(LAST_DOT_COOKIE))
    for name in names[:150]:
        order.remove(name)
    assert len(order) == 50
    for place, name in enumerate(names):
        assert names_after(order, cookies[name]) == [other for other in names[place + 1 :] if other not in names[:150]]


def test_a_new_name_is_seen_by_a_new_listing_alone() -> None:
    order = Listing([b"a", b"b"])
    under_way = order.after(LAST_DOT_COOKIE)
    assert next(under_way)[0] == b"a"
    order.add(b"new")
    assert [name for name, _ in under_way] == [b"b"]
    assert set(names_after(order)) == {b"a", b"b", b"new"}


def test_a_name_added_twice_or_removed_twice_counts_once() -> None:
    order = Listing([b"a"])
    order.add(b"a")
    order.add(b"b")
    order.add(b"b")
    assert sorted(names_after(order)) == [b"a", b"b"]
    order.remove(b"b")
    order.remove(b"b")
    order.remove(b"never")
    assert names_after(order) == [b"a"]
    assert len(order) == 1


def test_cookies_can_be_told_to_a_program_of_32_bits() -> None:
    order = Listing(b"%d" % number for number in range(1000))
    for number in range(1000, 3000):
        order.add(b"%d" % number)
    cookies = [cookie for _, cookie in order.after(0)]
    assert cookies == sorted(set(cookies))
    assert cookies[0] > LAST_DOT_COOKIE
    assert cookies[-1] <= LAST_COOKIE < 2**31


def test_cookies_never_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LAST_COOKIE", 100)
    order = Listing([b"kept"])
    for number in range(1000):
        order.add(b"%d" % number)
        order.remove(b"%d" % (number - 10))
        assert all(LAST_DOT_COOKIE < cookie <= 100 for _, cookie in order.after(LAST_DOT_COOKIE))
    assert set(names_after(order)) == {b"kept", *(b"%d" % number for number in range(990, 1000))}


CHANGES = st.lists(st.tuples(st.booleans(), st.integers(0, 40).map(lambda number: b"%d" % number)), max_size=200)


@given(st.sets(st.integers(0, 40), max_size=40), CHANGES, st.integers(1, 5))
def test_names_that_stay_are_listed_once_whatever_happens(
    start: set[int], changes: list[tuple[bool, bytes]], pace: int
) -> None:
    expected = {b"%d" % number for number in start}
    order = Listing(expected)
    stayed, seen = set(expected), list[bytes]()
    cookie = LAST_DOT_COOKIE
    for place, (added, name) in enumerate(changes):
        if place % pace == 0:
            # A listing comes in pieces, each with the cookie at which the one before ended.
            listed, cookie = next(order.after(cookie), (None, cookie))
            seen += [] if listed is None else [listed]
        if added:
            order.add(name)
            expected.add(name)
        else:
            order.remove(name)
            expected.discard(name)
            stayed.discard(name)
    seen += names_after(order, cookie)
    assert all(seen.count(name) == 1 for name in stayed)
    assert set(names_after(order)) == expected
    assert len(order) == len(expected)


def test_renaming_each_file_as_it_is_listed_comes_to_an_end(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [{f"f{number}": File() for number in range(20)}], EVERYTHING)
    with stack.opened() as kernel:
        seen = []
        for listed in kernel.union.entries(1, LAST_DOT_COOKIE):
            seen.append(listed.name.decode())
            kernel.rename(seen[-1], seen[-1] + ".bak")
        assert sorted(seen) == sorted(f"f{number}" for number in range(20))
        assert sorted(kernel.names()) == sorted(f"f{number}.bak" for number in range(20))
