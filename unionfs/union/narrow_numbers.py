"""Inode numbers of 32 bits, for programs that can take no others.

Owns which of them stands for a number that has more. Numbers below 2**31 stand for themselves; the upper half is for
all others, so that none of them can be a file's own, and two are never equal.
"""

from collections.abc import Container

_FIRST = 1 << 31
_COUNT = 1 << 31
# Fibonacci hashing: near values are spread over all bits, and the highest are taken.
_SPREAD = 0x9E3779B97F4A7C15
_WORD = 1 << 64
_SHIFT = 64 - 31


class NarrowNumbers:
    """Numbers given so far; each is the same again as long as it isn't dropped, and mostly after that too."""

    def __init__(self) -> None:
        self._narrow: dict[int, int] = {}
        self._wide: dict[int, int] = {}

    def narrow(self, number: int) -> int:
        """Give the number of 32 bits that stands for *number*."""
        if number < _FIRST:
            return number
        given = self._narrow.get(number)
        if given is None:
            given = self._free(number)
            self._narrow[number] = given
            self._wide[given] = number
        return given

    def _free(self, number: int) -> int:
        place = number * _SPREAD % _WORD >> _SHIFT
        while _FIRST + place in self._wide:
            place = (place + 1) % _COUNT
        return _FIRST + place

    def wide(self, number: int) -> int:
        """Give the number that *number* stands for."""
        return self._wide.get(number, number)

    def drop_all_but(self, used: Container[int]) -> None:
        """Let the numbers that aren't *used* be given to others."""
        self._wide = {given: number for given, number in self._wide.items() if given in used}
        self._narrow = {number: given for given, number in self._wide.items()}
