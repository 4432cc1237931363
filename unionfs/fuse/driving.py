"""Running the union's operations under trio: blocking steps in workers, one operation waiting for another."""

import logging
from typing import TypeVar, cast

import trio

from unionfs.union.step import Aside, Gate, Last, Operation

_log = logging.getLogger(__name__)
T = TypeVar("T")


async def drive(operation: Operation[T]) -> T:
    """Run *operation* to its end.

    Raises:
        OSError: the operation failed.
    """
    try:
        step = next(operation)
        while True:
            if isinstance(step, Gate):
                opened = trio.Event()
                step.wait(opened.set)
                await opened.wait()
                step = next(operation)
                continue
            if isinstance(step, Aside):
                trio.lowlevel.spawn_system_task(_run_aside, step)
                step = next(operation)
                continue
            try:
                result = await trio.to_thread.run_sync(step.step if isinstance(step, Last) else step)
            except Exception as error:  # noqa: BLE001 - it is the operation's to handle
                step = operation.throw(error)
            else:
                step = operation.send(result)
    except StopIteration as stop:
        return cast(T, stop.value)


async def _run_aside(aside: Aside) -> None:
    result = None
    try:
        result = await trio.to_thread.run_sync(aside.step)
    except Exception:  # noqa: BLE001 - whatever it is, the mount goes on
        _log.warning("what was done beside a request failed", exc_info=True)
    aside.learn(result)
