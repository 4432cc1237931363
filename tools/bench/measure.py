"""The order of a run: all contenders take turns at a workload, each repetition beginning with another one."""

import fcntl
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

from tools.bench.arm import Sample
from tools.bench.commands import CommandError
from tools.bench.sizes import QUICK, Sizes

_LONGEST = 600
"""Seconds after which a run of one workload by one candidate counts as failed."""
_LOCK = Path("/run/unionfs-bench.lock")
_PAUSE = 0.005
"""Seconds between two runs."""
_ENOUGH = 3
"""Repetitions after which a slow candidate ..."""
_SLOW = 20.0
"""... takes no more turns at a workload: when it has taken so many seconds in all."""


class Contender(Protocol):
    """Who does a workload, in turns with others: a candidate's mount, or a program."""

    name: str
    workload_name: str
    peak_memory: int
    """KiB that its daemon had resident at most."""

    def sample(self) -> Sample:
        """Do it once; raises OSError or CommandError."""
        ...

    def close(self) -> None:
        """Leave nothing behind."""
        ...


@dataclass
class Outcome:
    """What one contender did in one workload: its samples, or why there are none.

    ``spent`` counts all seconds that its turns took, preparations and all.
    """

    samples: list[Sample] = field(default_factory=list)
    spent: float = 0.0
    peak_memory: int = 0
    failure: str | None = None


def measure(
    contenders: Sequence[Contender], sizes: Sizes, repetitions: int, tell: Callable[[str], None], *, warm_up: bool
) -> dict[str, Outcome]:
    """Have each of *contenders* do its workload *repetitions* times, and give what each did.

    With *warm_up* one more comes before these. Who fails is left out from then on; *tell* is called with the failure.
    Who is slow gets fewer turns.
    """
    outcomes = {contender.name: Outcome() for contender in contenders}
    with ExitStack() as cleanup:
        for contender in contenders:
            cleanup.callback(contender.close)
        for repetition in range(repetitions + warm_up):
            first = repetition % len(contenders)
            for contender in (*contenders[first:], *contenders[:first]):
                counts = repetition >= warm_up
                _take_turn(contender, outcomes[contender.name], sizes, counts=counts, tell=tell)
    return outcomes


def _take_turn(
    contender: Contender, outcome: Outcome, sizes: Sizes, *, counts: bool, tell: Callable[[str], None]
) -> None:
    if outcome.failure is not None or (outcome.spent > _SLOW and len(outcome.samples) >= _ENOUGH):
        return
    try:
        with _alone(sizes), _time_limit():
            start = time.monotonic()
            sample = contender.sample()
            outcome.spent += time.monotonic() - start
    except (OSError, CommandError, sqlite3.Error) as error:
        outcome.failure = " ".join(str(error).split()) or type(error).__name__
        outcome.samples.clear()
        tell(f"{contender.workload_name}: {contender.name} failed: {outcome.failure}")
        contender.close()
        return
    outcome.peak_memory = contender.peak_memory
    if counts:
        outcome.samples.append(sample)


@contextmanager
def _alone(sizes: Sizes) -> Iterator[None]:
    """Let several benchmarks on one machine take turns, run by run, instead of measuring each other.

    But for quick ones, whose figures don't count.
    """
    if sizes is QUICK:
        yield
        return
    with open(_LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    # Whoever waits for it gets it only if it isn't taken again at once.
    time.sleep(_PAUSE)


@contextmanager
def _time_limit() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"not done after {_LONGEST} seconds")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(_LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
