"""Reading directories: what is listed while it changes, and going back to a place in the listing.

Sources: POSIX readdir(), seekdir(): a name that stays is listed exactly once, whatever happens to the others.
"""

import os
from collections import Counter
from errno import ENOENT

import pytest

from tests.posix.place import Place
from tests.posix.syscalls import DirectoryEntry, all_dents, getdents
from tests.posix.table import errno_of, row
from tests.stacks import WHITEOUT, File, Layer

SMALL = 512
"""Bytes of a buffer that holds a dozen entries."""


def _thirds(count: int) -> tuple[Layer, Layer, Layer]:
    """Spread names over three layers, some in two of them."""
    layers: list[Layer] = []
    for third in range(3):
        numbers = [number for number in range(count) if number % 3 == third or number % 10 == 0]
        layers.append({f"d/{number:05}": File() for number in numbers})
    return layers[0], layers[1], layers[2]


BOTTOM, MIDDLE, TOP = _thirds(300)
NAMES = [f"{number:05}" for number in range(300)]


def names_of(entries: list[DirectoryEntry]) -> list[str]:
    return [entry.name for entry in entries if entry.name not in {".", ".."}]


def opened(place: Place, name: str = "d") -> int:
    return os.open(place / name, os.O_RDONLY | os.O_DIRECTORY)


@pytest.mark.parametrize("size", [64, SMALL, 32768])
@row(bottom=BOTTOM, middle=MIDDLE, top=TOP)
def test_every_buffer_size_gives_every_name_once(place: Place, size: int) -> None:
    descriptor = opened(place)
    try:
        entries = all_dents(descriptor, size)
    finally:
        os.close(descriptor)
    assert sorted(names_of(entries)) == NAMES
    assert sorted(entry.name for entry in entries)[:2] == [".", ".."]
    assert len(entries) == 302


@row(bottom=BOTTOM, middle=MIDDLE, top=TOP)
def test_names_that_stay_are_listed_once_while_others_come_and_go(place: Place) -> None:
    descriptor = opened(place)
    try:
        seen = getdents(descriptor, SMALL)
        for number in range(0, 300, 2):
            (place / f"d/{number:05}").unlink()
            (place / f"d/new{number}").touch()
        seen += all_dents(descriptor, SMALL)
    finally:
        os.close(descriptor)
    counts = Counter(names_of(seen))
    assert {counts[f"{number:05}"] for number in range(1, 300, 2)} == {1}
    assert set(counts.values()) == {1}
    assert place.names("d") == sorted([*NAMES[1::2], *(f"new{number}" for number in range(0, 300, 2))])


@row(bottom=BOTTOM, middle=MIDDLE, top=TOP)
def test_removing_what_was_just_listed_empties_the_directory(place: Place) -> None:
    descriptor = opened(place)
    try:
        while entries := getdents(descriptor, SMALL):
            for name in names_of(entries):
                os.unlink(name, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    assert place.names("d") == []
    (place / "d").rmdir()


@row(bottom=BOTTOM, middle=MIDDLE, top=TOP)
def test_a_name_renamed_while_listing_is_listed_at_most_under_each_name(place: Place) -> None:
    descriptor = opened(place)
    try:
        seen = getdents(descriptor, SMALL)
        for number in range(300):
            (place / f"d/{number:05}").rename(place / f"d/moved{number}")
        seen += all_dents(descriptor, SMALL)
    finally:
        os.close(descriptor)
    assert max(Counter(names_of(seen)).values()) == 1
    assert len(place.names("d")) == 300


@row(bottom=BOTTOM, middle=MIDDLE, top=TOP)
def test_the_listing_goes_on_from_any_offset_it_gave(place: Place) -> None:
    descriptor = opened(place)
    try:
        entries = all_dents(descriptor)
        assert len({entry.offset for entry in entries}) == len(entries)
        for position in (0, 1, 2, 150, 300, 301, 7):
            os.lseek(descriptor, entries[position].offset, os.SEEK_SET)
            rest = all_dents(descriptor, SMALL)
            assert [entry.name for entry in rest] == [entry.name for entry in entries[position + 1 :]]
    finally:
        os.close(descriptor)


@row(bottom=BOTTOM, middle=MIDDLE, top=TOP)
def test_an_offset_stays_good_when_names_before_it_are_removed(place: Place) -> None:
    descriptor = opened(place)
    try:
        entries = all_dents(descriptor)
        for entry in entries[:100]:
            if entry.name not in {".", ".."}:
                os.unlink(entry.name, dir_fd=descriptor)
        os.lseek(descriptor, entries[149].offset, os.SEEK_SET)
        assert names_of(all_dents(descriptor)) == names_of(entries[150:])
    finally:
        os.close(descriptor)


@row(bottom=BOTTOM, middle={"d/00001": WHITEOUT})
def test_rewinding_gives_a_fresh_view(place: Place) -> None:
    descriptor = opened(place)
    try:
        before = names_of(all_dents(descriptor))
        assert all_dents(descriptor) == []
        (place / "d/00000").unlink()
        (place / "d/fresh").touch()
        os.lseek(descriptor, 0, os.SEEK_SET)
        after = names_of(all_dents(descriptor))
    finally:
        os.close(descriptor)
    assert set(after) == {*before, "fresh"} - {"00000"}
    assert len(after) == len(before)


@row(bottom=BOTTOM, middle=MIDDLE)
def test_two_streams_of_one_directory_are_independent(place: Place) -> None:
    one, other = opened(place), opened(place)
    try:
        first = getdents(one, SMALL)
        whole = all_dents(other, SMALL)
        first += all_dents(one, SMALL)
        assert names_of(first) == names_of(whole)
    finally:
        os.close(one)
        os.close(other)


@row(bottom={"d/f": File(), "d/sub/x": File()}, upper={"e/y": File()})
def test_dot_and_dot_dot_are_listed_once_with_their_numbers(place: Place) -> None:
    for name, parent in {"d": ".", "e": ".", "d/sub": "d"}.items():
        descriptor = opened(place, name)
        try:
            entries = all_dents(descriptor)
        finally:
            os.close(descriptor)
        numbers = {entry.name: entry.ino for entry in entries}
        assert Counter(entry.name for entry in entries)["."] == 1
        assert Counter(entry.name for entry in entries)[".."] == 1
        assert numbers["."] == (place / name).stat().st_ino
        assert numbers[".."] == (place / parent).stat().st_ino


@row(bottom={"d/f": File()}, middle={"d/g": File()})
def test_a_removed_directory_lists_nothing_and_fails_no_loop(place: Place) -> None:
    descriptor = opened(place)
    try:
        for name in ("f", "g"):
            (place / "d" / name).unlink()
        (place / "d").rmdir()
        assert errno_of(all_dents, descriptor) in {0, ENOENT}
        os.lseek(descriptor, 0, os.SEEK_SET)
        assert errno_of(all_dents, descriptor) in {0, ENOENT}
    finally:
        os.close(descriptor)


@row(bottom={"d/a": File(), "d/b": File(b"xyz", mode=0o640, uid=5)}, upper={"d/c": File()})
def test_attributes_that_come_with_a_listing_are_those_of_stat(place: Place) -> None:
    with os.scandir(place / "d") as listing:
        listed = {entry.name: (entry.inode(), entry.stat(follow_symlinks=False)) for entry in listing}
    assert sorted(listed) == ["a", "b", "c"]
    for name, (inode, attributes) in listed.items():
        found = (place / "d" / name).stat()
        assert inode == found.st_ino
        assert attributes == found


COUNT = 10_000
MANY = [{f"d/{number:06}": File() for number in range(layer, COUNT, 3)} for layer in range(3)]


@row(own=True, bottom=MANY[0], middle=MANY[1], top=MANY[2])
def test_a_big_directory_is_listed_whole_and_again(place: Place) -> None:
    expected = [f"{number:06}" for number in range(COUNT)]
    assert place.names("d") == expected
    assert place.names("d") == expected
    (place / "d/000000").unlink()
    (place / "d/zzz").touch()
    assert place.names("d") == [*expected[1:], "zzz"]


@row(bottom={"d/low": File(), "d/sub/x": File()}, on=("union",))
def test_listing_changes_nothing_on_disk(place: Place) -> None:
    for name in (".", "d", "d/sub"):
        place.names(name)
    assert not place.is_in_upper("d")
