"""Letting whoever is answered go on at once, on the processor of the thread that answers.

The scheduler wakes a process on an idle processor rather than on one where somebody runs, though who answers is about
to sleep; in a virtual machine that costs more than everything else (measured: 54 microseconds for a question and its
answer, 2.5 where both stay on one processor). One that runs nothing but SCHED_IDLE counts as idle, and whoever is woken
there runs first (sched(7)). So the answering thread takes that policy while it writes the answer, and is back when the
one it answered sleeps. Owns that, and giving it up for a while where coming back took long.
"""

import os
import threading
import time

# Coming back takes long where others want the processor too: as long as the scheduler lets them run before it looks
# again (some milliseconds). Requests may have waited meanwhile, so no more than a tenth of the time goes into that.
_LONG = 1e-3
_REST = 10
_NO_PRIORITY = os.sched_param(0)


class GivingWay:
    """One thread's way to answer: ``begin``, the answer, ``end``."""

    def __init__(self) -> None:
        self._may = _may_come_back()
        self._is_on = False
        self._began = 0.0
        self._not_before = 0.0

    def begin(self) -> None:
        """Let others run before this thread, where that is of use now."""
        if self._may:
            self._began = time.perf_counter()
            if self._began >= self._not_before:
                os.sched_setscheduler(0, os.SCHED_IDLE, _NO_PRIORITY)
                self._is_on = True

    def end(self) -> None:
        """Be one among others again, whether it was of use or not."""
        if self._is_on:
            self._is_on = False
            os.sched_setscheduler(0, os.SCHED_OTHER, _NO_PRIORITY)
            now = time.perf_counter()
            took = now - self._began
            if took > _LONG:
                self._not_before = now + took * _REST


def _may_come_back() -> bool:
    """Tell whether SCHED_IDLE may be left for the policy that the thread has, which takes CAP_SYS_NICE or RLIMIT_NICE.

    Found by trying it, in a thread of its own, since one that may not stays behind.
    """
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    found = []

    def attempt() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_IDLE, _NO_PRIORITY)
            os.sched_setscheduler(0, os.SCHED_OTHER, _NO_PRIORITY)
        except OSError:
            return
        found.append(True)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return bool(found)
