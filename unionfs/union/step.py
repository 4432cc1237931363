"""How an operation that may block is written, and how it is run.

An operation is a generator. It yields either a *step*, a callable that may block and that touches descriptors but no
table of the union, and is resumed with the step's result (or has its exception thrown in); or a ``Gate``, and is
resumed when the gate opens; or an ``Aside``, and is resumed at once. A transport runs steps in a worker while it goes
on serving; ``run`` runs them in place.

A step that is an operation's ``Last`` may be answered by the worker itself: the way back to the loop, and the loop's
being busy, cost more than most such steps take.
"""

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
Step = Callable[[], Any]


class Last(NamedTuple):
    """A step whose result, or exception, is that of the whole operation.

    The operation is resumed as after any step, but only to let go of what it holds: whoever asked may have the answer
    by then, so nothing that shows may change any more, and the exception is passed on.
    """

    step: Step


class Aside(NamedTuple):
    """A step beside the operation, which goes on at once; *learn* is told the result, None where it failed."""

    step: Step
    learn: Callable[[Any], None]


class Gate:
    """Holds back the operations that must not go on before another one is finished."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: list[Callable[[], None]] = []

    def wait(self, waiter: Callable[[], None]) -> None:
        """Call *waiter* when the gate opens."""
        self._waiters.append(waiter)

    def open(self) -> None:
        """Let everyone go on."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter()


Operation = Generator[Step | Last | Aside | Gate, Any, T]


def run(operation: Operation[T]) -> T:
    """Run *operation* to its end, its blocking steps in place.

    Raises:
        OSError: the operation failed.
        RuntimeError: it waits for another operation, which in place can't go on.
    """
    try:
        step = next(operation)
        while True:
            if isinstance(step, Gate):
                raise RuntimeError("the operation waits for another one that isn't finished")
            if isinstance(step, Aside):
                step.learn(step.step())
                step = next(operation)
                continue
            try:
                result = step.step() if isinstance(step, Last) else step()
            except OSError as error:
                step = operation.throw(error)
            else:
                step = operation.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value
