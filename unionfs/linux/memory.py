"""Giving memory back to the kernel."""

from unionfs.linux.libc import LIBC


def release_free_memory() -> None:
    """Return the C heap's free pages, which it otherwise keeps for later (malloc_trim)."""
    LIBC.malloc_trim(0)
