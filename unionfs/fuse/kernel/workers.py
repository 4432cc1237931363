"""Threads that run blocking steps for a loop on another thread.

Owns the hand-over: a step goes to a worker, its result comes back through a queue whose descriptor the loop waits on.
"""

import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from unionfs.union.step import Step

_log = logging.getLogger(__name__)
# Enough that those who wait for a slow disk keep nobody waiting whose disk is quick.
MOST_WORKERS = 16


class Done(NamedTuple):
    """A finished step: what goes on with it, and its result or the exception that it raised."""

    resume: Callable[["Done"], None]
    result: Any
    error: Exception | None


class Workers:
    """A pool that grows to ``MOST_WORKERS`` threads as steps wait; each calls *begin* first."""

    def __init__(self, begin: Callable[[], None] = lambda: None) -> None:
        self._begin = begin
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._steps: queue.SimpleQueue[tuple[Step, Callable[[Done], None]] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._pending = 0

    def run(self, step: Step, resume: Callable[[Done], None]) -> None:
        """Run *step* in a worker; ``collect`` calls *resume* with what came of it."""
        self._pending += 1
        if self._pending > len(self._threads) and len(self._threads) < MOST_WORKERS:
            self._add_thread()
        if self._threads:
            self._steps.put((step, resume))
        else:
            self._finish(step, resume)

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._work, name="worker", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # At a limit of processes the work is done by those that there are, and without any on the loop's thread.
            _log.warning("no further worker: %s", error)
        else:
            self._threads.append(thread)

    def _work(self) -> None:
        self._begin()
        while (task := self._steps.get()) is not None:
            self._finish(*task)

    def _finish(self, step: Step, resume: Callable[[Done], None]) -> None:
        try:
            done = Done(resume, step(), None)
        except Exception as error:  # noqa: BLE001 - it is the operation's to handle
            done = Done(resume, None, error)
        self._done.put(done)
        os.eventfd_write(self.fd, 1)

    @property
    def is_idle(self) -> bool:
        """Whether no step is under way."""
        return self._pending == 0

    def collect(self) -> None:
        """Go on, on this thread, with every operation whose step is finished."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            return
        while not self._done.empty():
            self._go_on()

    def _go_on(self) -> None:
        done = self._done.get()
        self._pending -= 1
        done.resume(done)

    def close(self) -> None:
        """Bring every operation with a step under way to its end, and end the threads."""
        while self._pending:
            self._go_on()
        self.dismiss()
        os.close(self.fd)

    def dismiss(self) -> None:
        """End the threads, with the memory that each keeps, while no step is under way; the next one starts others."""
        for _ in self._threads:
            self._steps.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
