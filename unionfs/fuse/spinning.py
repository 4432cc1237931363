"""Waiting of pyfuse3: awake for a moment before asleep, where that pays.

Owns the stand-in for the ``trio`` module that pyfuse3 waits through; the attribute is replaceable by design, as its
support of asyncio shows.
"""

import select
import time
from typing import Any

import trio

from unionfs.fuse.wakefulness import Wakefulness


class SpinningTrio:
    """trio as pyfuse3 uses it, but with ``wait_readable`` polling for a moment before it sleeps."""

    ClosedResourceError = trio.ClosedResourceError
    Lock = trio.Lock
    open_nursery = staticmethod(trio.open_nursery)

    def __init__(self) -> None:
        self.lowlevel = self
        self._poll: dict[int, select.poll] = {}
        self._wakefulness = Wakefulness()

    current_task = staticmethod(trio.lowlevel.current_task)
    current_trio_token = staticmethod(trio.lowlevel.current_trio_token)
    notify_closing = staticmethod(trio.lowlevel.notify_closing)

    async def wait_readable(self, fd: int) -> None:
        """Return when *fd* can be read."""
        poll = self._poll.get(fd)
        if poll is None:
            poll = self._poll[fd] = select.poll()
            poll.register(fd, select.POLLIN)
        started = now = time.perf_counter()
        until = started + self._wakefulness.seconds
        while now < until:
            if poll.poll(0):
                self._wakefulness.note(now - started, slept=False)
                return
            now = time.perf_counter()
        await trio.lowlevel.wait_readable(fd)
        self._wakefulness.note(time.perf_counter() - started, slept=True)

    def __getattr__(self, name: str) -> Any:
        """Give what pyfuse3 may use of trio besides."""
        return getattr(trio, name)
