"""Files whose lock says who may change what: taken by whole processes, given up by the kernel when one dies."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from unionfs.linux.locks import flock_holder

_PATIENCE = 1.0
"""Seconds that a lock is waited for before somebody is told."""
_RETRY = 0.05

Waiting = Callable[[int | None], None]
"""Called when another process is waited for, with its id where that can be known."""


def open_lock(name: bytes, directory: int) -> int:
    """Open the lock file *name*, made if it isn't there; its lock isn't taken yet.

    Raises:
        OSError: it can't be made or opened.
    """
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)


def take(lock: int, waiting: Waiting, *, shared: bool = False) -> None:
    """Take the lock of an open file, however long another process has it; closing the file gives it up."""
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    told_at = time.monotonic() + _PATIENCE
    while time.monotonic() < told_at:
        with suppress(BlockingIOError):
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
            return
        time.sleep(_RETRY)
    waiting(flock_holder(lock))
    fcntl.flock(lock, kind)


def take_if_free(lock: int) -> bool:
    """Take the lock of an open file if nobody has it, and tell whether that was so."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def held(name: bytes, directory: int, waiting: Waiting, *, shared: bool = False) -> Iterator[int]:
    """Hold the lock of the file *name*, which is made if need be, and give its descriptor."""
    lock = open_lock(name, directory)
    try:
        take(lock, waiting, shared=shared)
        yield lock
    finally:
        os.close(lock)
