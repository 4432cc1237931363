"""What signals mean to the daemon.

The first TERM, INT or HUP detaches the mount: it disappears at once, and is served until its last user is
gone. A second one aborts. USR1 logs the statistics.
"""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from unionfs.mount.errors import MountError

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """Let the ending signals wait, so that none comes between mounting and the handlers that unmount."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


class Shutdown:
    """The signals' handlers. Their work is done on threads of its own.

    Ending a mount may write what the kernel still holds back to this very daemon, whose serving thread is the
    one that a handler interrupts; and a log that is interrupted can't be written to.
    """

    def __init__(self, detach: Callable[[], None], statistics: Callable[[], str]) -> None:
        self._detach = detach
        self._statistics = statistics
        self._asked = False

    def install(self) -> None:
        """Take over the signals; on the main thread, as Python wants it."""
        for number in _ENDING:
            signal.signal(number, self._end)
        signal.signal(signal.SIGUSR1, self._report)

    def _end(self, number: int, _frame: FrameType | None) -> None:
        if self._asked:
            os._exit(128 + number)
        self._asked = True
        _start(self._detach_and_log)

    def _report(self, _number: int, _frame: FrameType | None) -> None:
        _start(lambda: _log.info("%s", self._statistics()))

    def _detach_and_log(self) -> None:
        try:
            self._detach()
        except (MountError, OSError) as error:
            _log.error("the mount goes on: %s", error)


def _start(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()
