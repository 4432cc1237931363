"""What signals mean to the daemon.

The first TERM, INT or HUP detaches the mount: it disappears at once, and is served until its last user is
gone. A second one aborts. USR1 logs the statistics.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable

from unionfs.mount.errors import MountError

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ALL = (*_ENDING, signal.SIGUSR1)

_log = logging.getLogger(__name__)


def hold_signals_back() -> None:
    """Let the signals wait from now on, so that none comes between mounting and who unmounts; before any thread."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ALL)


class Shutdown:
    """Obeys the signals, which are held back, on a thread of its own.

    Python runs a handler only when the thread that serves comes back from the kernel, and one that is about to wait
    there for a request would see a signal of that moment with the next request. Ending a mount may also write what the
    kernel still holds back to this very daemon, so that has a thread of its own too.
    """

    def __init__(self, detach: Callable[[], None], statistics: Callable[[], str]) -> None:
        self._detach = detach
        self._statistics = statistics
        self._asked = False

    def install(self) -> None:
        """Begin to obey."""
        _start(self._obey)

    def _obey(self) -> None:
        while True:
            number = signal.sigwait(_ALL)
            if number == signal.SIGUSR1:
                _start(lambda: _log.info("%s", self._statistics()))
            elif self._asked:
                os._exit(128 + number)
            else:
                self._asked = True
                _start(self._detach_and_log)

    def _detach_and_log(self) -> None:
        try:
            self._detach()
        except (MountError, OSError) as error:
            _log.error("the mount goes on: %s", error)


def _start(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()
