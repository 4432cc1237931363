"""The C library's heap: that there is one, and giving memory back to the kernel."""

from unionfs.linux.libc import LIBC

_M_ARENA_MAX = -8  # malloc.h


def release_free_memory() -> None:
    """Return the C heap's free pages, which it otherwise keeps for later (malloc_trim)."""
    LIBC.malloc_trim(0)


def share_one_heap() -> None:
    """Let threads that are started from now on allocate from the heap that there is, rather than from one each.

    What of those is free at their end isn't given back (mallopt(3), ``M_ARENA_MAX``; malloc_trim(3)).
    """
    LIBC.mallopt(_M_ARENA_MAX, 1)
