"""Waiting of pyfuse3: awake for a moment before asleep, where that pays.

Owns the stand-in for the ``trio`` module that pyfuse3 waits through; the attribute is replaceable by design, as its
support of asyncio shows.
"""

import select
import time
from typing import Any

import trio

from unionfs.fuse.giving_way import GivingWay
from unionfs.fuse.placement import Placement
from unionfs.fuse.wakefulness import Wakefulness

# How long to take requests as they come without letting trio run other tasks, in seconds: a turn of its loop takes
# longer than answering a request.
_TURN = 0.5e-3


class ReadLock:
    """Who reads next, of pyfuse3's tasks: whoever comes first, rather than whoever waited.

    A task that has answered goes on reading; trio's own lock hands over to another task each time.
    """

    def __init__(self) -> None:
        self._is_held = False
        self._waiting = trio.lowlevel.ParkingLot()

    async def __aenter__(self) -> None:
        while self._is_held:
            await self._waiting.park()
        self._is_held = True

    async def __aexit__(self, *_: object) -> None:
        self._is_held = False
        self._waiting.unpark()


class SpinningTrio:
    """trio as pyfuse3 uses it, but with ``wait_readable`` polling for a moment before it sleeps.

    It is what pyfuse3 calls after each answer, and so where *giving_way* ends, before any thread could inherit it.
    """

    ClosedResourceError = trio.ClosedResourceError
    Lock = ReadLock
    open_nursery = staticmethod(trio.open_nursery)

    def __init__(self, placement: Placement, giving_way: GivingWay) -> None:
        self.lowlevel = self
        self._placement = placement
        self._giving_way = giving_way
        self._poll: dict[int, select.poll] = {}
        self._wakefulness = Wakefulness()
        self._turn_ends = 0.0

    current_task = staticmethod(trio.lowlevel.current_task)
    current_trio_token = staticmethod(trio.lowlevel.current_trio_token)
    notify_closing = staticmethod(trio.lowlevel.notify_closing)

    async def wait_readable(self, fd: int) -> None:
        """Return when *fd* can be read."""
        self._giving_way.end()
        poll = self._poll.get(fd)
        if poll is None:
            poll = self._poll[fd] = select.poll()
            poll.register(fd, select.POLLIN)
        # Being awake would keep who asks from the processor.
        may_be_awake = not self._placement.is_shared
        started = now = time.perf_counter()
        if started >= self._turn_ends:
            await trio.lowlevel.checkpoint()
            started = now = time.perf_counter()
            self._turn_ends = started + _TURN
        until = started + self._wakefulness.seconds if may_be_awake else started
        while now <= until:
            if poll.poll(0):
                if may_be_awake:
                    self._wakefulness.note(now - started, slept=False)
                return
            now = time.perf_counter()
        await trio.lowlevel.wait_readable(fd)
        # Another task may have answered meanwhile.
        self._giving_way.end()
        if may_be_awake:
            self._wakefulness.note(time.perf_counter() - started, slept=True)

    def __getattr__(self, name: str) -> Any:
        """Give what pyfuse3 may use of trio besides."""
        return getattr(trio, name)
