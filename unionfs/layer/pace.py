"""Whether a layer's directories are likely to be read at once, told from how long it took before.

The kernel has no way to ask for a name or an attribute only if it is in memory, as there is for content. So a layer is
slow until reading it was quick several times in a row, and slow again as soon as once it wasn't; after that it takes
more to be trusted, since many directories of a slow disk are in memory too.
"""

# Reading that took no longer delays nobody noticeably, in seconds; with what each name takes even in memory.
_QUICK = 1.5e-3
_QUICK_PER_NAME = 20e-6
# How often in a row reading has to be quick at first; how many times that after each mistake, and at most.
_TRUSTED = 8
_AFTER_MISTAKE = 4
_MOST_TRUSTED = 512
# What a scan takes whose names are in memory, in seconds; a disk takes longer even for one block.
_FROM_MEMORY = 100e-6
_FROM_MEMORY_PER_NAME = 3e-6


def is_quick(seconds: float, names: int) -> bool:
    """Tell whether *seconds* is what *names* names take that are in memory."""
    return seconds <= _QUICK + names * _QUICK_PER_NAME


def is_from_memory(seconds: float, names: int) -> bool:
    """Tell whether a scan of *names* names that took *seconds* was likely to need no disk."""
    return seconds <= _FROM_MEMORY + names * _FROM_MEMORY_PER_NAME


class Pace:
    """What was seen of one layer."""

    __slots__ = ("_in_a_row", "_needed")

    def __init__(self) -> None:
        self._in_a_row = 0
        self._needed = _TRUSTED

    @property
    def is_slow(self) -> bool:
        """Whether reading a directory may take long."""
        return self._in_a_row < self._needed

    def note(self, seconds: float, names: int) -> None:
        """Learn that reading *names* names, or what they stand for, took *seconds*."""
        if is_quick(seconds, names):
            self._in_a_row = min(self._in_a_row + 1, self._needed)
            return
        if not self.is_slow:
            self._needed = min(self._needed * _AFTER_MISTAKE, _MOST_TRUSTED)
        self._in_a_row = 0
