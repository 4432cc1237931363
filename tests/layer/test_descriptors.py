"""The bounded set of open directories: the least recently used is closed first, and never one of the last few."""

import os
from collections.abc import Iterator

import pytest

from unionfs.layer.descriptors import MINIMUM, Descriptors


@pytest.fixture
def pipe() -> Iterator[int]:
    """Give a descriptor that may be duplicated."""
    reading, writing = os.pipe()
    yield reading
    os.close(reading)
    os.close(writing)


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_the_least_recently_used_is_closed_first(pipe: int) -> None:
    kept = Descriptors(MINIMUM)
    fds = {owner: os.dup(pipe) for owner in range(MINIMUM)}
    for owner, fd in fds.items():
        kept.add(owner, fd)
    assert kept.get(0) == fds[0]
    kept.add("new", os.dup(pipe))
    assert len(kept) == MINIMUM
    assert kept.get(1) is None
    assert kept.get(0) == fds[0]
    kept.close()
    assert len(kept) == 0
    assert not any(is_open(fd) for owner, fd in fds.items() if owner != 1)


@pytest.mark.parametrize("limit", [0, 1, MINIMUM])
def test_an_operation_can_use_a_few_at_once_however_low_the_limit(pipe: int, limit: int) -> None:
    kept = Descriptors(limit)
    fds = [os.dup(pipe) for _ in range(MINIMUM)]
    for owner, fd in enumerate(fds):
        kept.add(owner, fd)
    assert [kept.get(owner) for owner in range(MINIMUM)] == fds
    kept.close()


def test_one_that_is_dropped_is_closed(pipe: int) -> None:
    kept = Descriptors(MINIMUM)
    fd = os.dup(pipe)
    kept.add("owner", fd)
    kept.drop("owner")
    kept.drop("owner")
    kept.drop("never")
    assert not is_open(fd)
    assert kept.get("owner") is None


def test_shrinking_closes_the_older_half_beyond_the_minimum(pipe: int) -> None:
    kept = Descriptors(MINIMUM + 20)
    for owner in range(MINIMUM + 20):
        kept.add(owner, os.dup(pipe))
    kept.shrink()
    assert len(kept) == MINIMUM + 10
    assert kept.get(9) is None
    assert kept.get(10) is not None
    for _ in range(10):
        kept.shrink()
    assert len(kept) >= MINIMUM
    kept.close()


def test_owners_are_told_apart_by_identity(pipe: int) -> None:
    """Two objects for one path are two owners, so that a directory made anew has a descriptor of its own."""
    kept = Descriptors(MINIMUM)
    owners = [object(), object()]
    fds = [os.dup(pipe) for _ in owners]
    for owner, fd in zip(owners, fds, strict=True):
        kept.add(owner, fd)
    assert [kept.get(owner) for owner in owners] == fds
    kept.close()
