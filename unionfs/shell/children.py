"""Child processes that run a function of ours: started, and waited for with what signals mean meanwhile.

A process that waits for another ends with its exit code, and passes on to it the signals that were meant for it: what
comes after the caller is in sessions of its own, and gets none by itself.
"""

import os
import signal
from collections.abc import Callable, Iterable

from unionfs.shell.report import Report

_FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
HELD_BACK = frozenset((*_FORWARDED, signal.SIGCHLD, signal.SIGWINCH))
"""What has to be blocked in a process that waits, and before that in the one that starts it."""


def start_child(body: Callable[[], int], report: Report) -> int:
    """Run *body* in a child, which ends with what it gives, and give the child's id; an error of it is reported."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = body()
        except BaseException as error:  # noqa: BLE001 - whatever it is, this process ends here, and not in its parent's code
            code = report.fail(error)
        finally:
            os._exit(code)
    return child


def wait_forwarding(child: int, *, reap_others: bool = False, resized: Callable[[], None] = lambda: None) -> int:
    """Wait for *child*, passing signals on, and give its exit code: 128 and the signal's number if one ended it.

    With *reap_others* every other child that ends is waited for too, as process 1 must. *resized* is called when the
    terminal has another size.
    """
    while True:
        for ended, code in _ended(-1 if reap_others else child):
            if ended == child:
                return code
        number = signal.sigwait(HELD_BACK)
        if number in _FORWARDED:
            os.kill(child, number)
        elif number == signal.SIGWINCH:
            resized()


def wait_for_all(seconds: float) -> bool:
    """Wait for all children, for so many seconds at most, and tell whether there is none left."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0 and signal.sigtimedwait([signal.SIGCHLD], seconds) is None:
                return False
        except ChildProcessError:
            return True


def _ended(which: int) -> Iterable[tuple[int, int]]:
    while True:
        try:
            ended, status = os.waitpid(which, os.WNOHANG)
        except ChildProcessError:
            return
        if ended == 0:
            return
        code = os.waitstatus_to_exitcode(status)
        yield ended, 128 - code if code < 0 else code
