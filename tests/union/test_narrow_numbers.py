"""Numbers of 32 bits that stand for those of 64."""

import itertools

import pytest

from unionfs.union.narrow_numbers import NarrowNumbers

# The multiplier of Fibonacci hashing; its multiples by these come to lie side by side, and so meet in 32 bits.
MEETING = [pow(0x9E3779B97F4A7C15, -1, 1 << 64) * value % (1 << 64) for value in range(1, 6)]


@pytest.mark.parametrize("number", [0, 1, 4711, (1 << 31) - 1])
def test_a_number_of_31_bits_stands_for_itself(number: int) -> None:
    numbers = NarrowNumbers()
    assert numbers.narrow(number) == numbers.wide(number) == number


@pytest.mark.parametrize("number", [1 << 31, (1 << 32) - 1, 1 << 32, 1 << 56, (1 << 63) - 1])
def test_another_gets_one_of_the_upper_half_that_leads_back(number: int) -> None:
    numbers = NarrowNumbers()
    given = numbers.narrow(number)
    assert 1 << 31 <= given < 1 << 32
    assert numbers.narrow(number) == NarrowNumbers().narrow(number) == given
    assert numbers.wide(given) == number


def test_numbers_that_follow_one_another_are_told_apart() -> None:
    numbers = NarrowNumbers()
    assert len({numbers.narrow(number) for number in range(1 << 56, (1 << 56) + 10000)}) == 10000


@pytest.mark.parametrize("order", list(itertools.permutations(MEETING))[::17])
def test_numbers_that_meet_are_told_apart_in_any_order(order: tuple[int, ...]) -> None:
    numbers = NarrowNumbers()
    assert len({NarrowNumbers().narrow(number) for number in order}) == 1
    given = [numbers.narrow(number) for number in order]
    assert len(set(given)) == len(order)
    assert [numbers.wide(narrow) for narrow in given] == list(order)


def test_numbers_wrap_around_within_the_upper_half() -> None:
    last = pow(0x9E3779B97F4A7C15, -1, 1 << 64)
    numbers = NarrowNumbers()
    given = {numbers.narrow(last * value % (1 << 64)) for value in (-1, -2)}
    assert given == {(1 << 32) - 1, 1 << 31}


def test_what_is_in_use_is_kept_and_the_rest_is_free_again() -> None:
    numbers = NarrowNumbers()
    first, second, third = (numbers.narrow(number) for number in MEETING[:3])
    numbers.drop_all_but({second})
    assert (numbers.wide(first), numbers.wide(third)) == (first, third)
    assert (numbers.narrow(MEETING[1]), numbers.narrow(MEETING[3])) == (second, first)
