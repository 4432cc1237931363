"""Work done side by side, each piece in a process of its own: threads take turns at what Python itself does.

Owns how the processes start, what they send back, and that none of them outlives the call, however that ends. Knows
nothing of layers.
"""

import os
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Pipe, wait
from typing import Generic, NoReturn, TypeVar

from unionfs.linux.process import set_parent_death_signal

Result = TypeVar("Result")
Tell = Callable[[int, int], None]
"""What a piece of work calls to say how much of it is done, and of how much."""


class ProcessEndedError(Exception):
    """The process of the piece of work *number* has ended without a result; the text says how."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


def side_by_side(
    work: Mapping[int, Callable[[Tell], Result]], at_once: int, told: Callable[[int, int, int], None]
) -> dict[int, Result]:
    """Do each piece of *work*, in that order and *at_once* at a time, and give the results by the same numbers.

    A piece finds everything as it is in this process, and changes nothing here; what it gives or raises is pickled.
    *told* is called with the piece's number and what it tells. The first failure ends all other pieces.

    Raises:
        ProcessEndedError: a process was killed.
        OSError: a process can't be started.
        what a piece of work raises.
    """
    waiting = list(work.items())[::-1]
    running: list[_Process[Result]] = []
    results: dict[int, Result] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                # An interruption must not come between starting a process and knowing of it.
                with _uninterrupted():
                    running.append(_Process(*waiting.pop()))
            ready = wait([process.messages for process in running])
            for process in [process for process in running if process.messages in ready]:
                message = process.receive()
                if isinstance(message, _Told):
                    told(process.number, message.done, message.total)
                    continue
                running.remove(process)
                how = process.end()
                if message is None:
                    raise ProcessEndedError(process.number, how)
                results[process.number] = message.result()
    finally:
        for process in running:
            process.end()
    return results


@dataclass(frozen=True, slots=True)
class _Told:
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class _Given(Generic[Result]):
    """What a piece of work gave."""

    value: Result

    def result(self) -> Result:
        return self.value


@dataclass(frozen=True, slots=True)
class _Raised:
    """What a piece of work raised, and the traceback, which isn't pickled with it."""

    error: Exception
    traceback: str

    def result(self) -> NoReturn:
        raise self.error from _OriginError(self.traceback)


class _OriginError(Exception):
    """Shows in a traceback where in the other process an error comes from."""


class _Process(Generic[Result]):
    """A process that does a piece of work. It must be ended, also when it has done that."""

    def __init__(self, number: int, work: Callable[[Tell], Result]) -> None:
        self.number = number
        self.messages, theirs = Pipe(duplex=False)
        parent = os.getpid()
        with theirs:
            self._pid = os.fork()
            if self._pid == 0:
                _end_after(parent, lambda: theirs.send(_outcome(work, lambda *told: theirs.send(_Told(*told)))))

    def receive(self) -> "_Told | _Given[Result] | _Raised | None":
        """Wait for its next message; None if it has ended before it could say what came of the work."""
        try:
            message: _Told | _Given[Result] | _Raised = self.messages.recv()
        except (EOFError, OSError):  # between two messages, or within one
            return None
        return message

    def end(self) -> str:
        """Kill it, unless it has ended, wait for it, and say how it ended."""
        self.messages.close()
        # The number stays its own until it was waited for.
        os.kill(self._pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        return f"its process ended with {code}"


def _outcome(work: Callable[[Tell], Result], tell: Tell) -> _Given[Result] | _Raised:
    try:
        return _Given(work(tell))
    except Exception as error:  # noqa: BLE001 - it is raised in the process that asked for the work
        return _Raised(error, traceback.format_exc())


def _end_after(parent: int, body: Callable[[], None]) -> NoReturn:
    """Run *body* as the whole of this process, which ends with the process *parent* at the latest."""
    code = 1
    try:
        set_parent_death_signal(signal.SIGKILL)
        if os.getppid() == parent:
            body()
            code = 0
    except BaseException:  # noqa: BLE001 - this process's last frame: what comes here is shown, then it ends
        traceback.print_exc()
    finally:
        os._exit(code)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put off what the terminal sends to all processes; those started here never get it, and are ended instead."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
