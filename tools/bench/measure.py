"""The order of a run: all candidates take turns at a workload, each repetition beginning with another one."""

import fcntl
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tools.bench.arm import Arm, Sample
from tools.bench.candidates import Candidate
from tools.bench.commands import CommandError
from tools.bench.inputs import Inputs
from tools.bench.sizes import QUICK, Sizes
from tools.bench.workload import Mounted, Workload

_LONGEST = 600
"""Seconds after which a run of one workload by one candidate counts as failed."""
_LOCK = Path("/run/unionfs-bench.lock")
_PAUSE = 0.005
"""Seconds between two runs."""
_ENOUGH = 3
"""Repetitions after which a slow candidate ..."""
_SLOW = 20.0
"""... takes no more turns at a workload: when it has taken so many seconds in all."""


@dataclass
class Outcome:
    """What one candidate did in one workload: its samples, or why there are none.

    ``spent`` counts all seconds that its turns took, preparations and all.
    """

    samples: list[Sample] = field(default_factory=list)
    spent: float = 0.0
    peak_memory: int = 0
    failure: str | None = None


def measure(
    workload: Workload,
    candidates: Sequence[Candidate],
    inputs: Inputs,
    room: Path,
    repetitions: int,
    tell: Callable[[str], None],
) -> dict[str, Outcome]:
    """Run *workload* *repetitions* times by each candidate, and give what each did.

    Before these comes one run to warm up, unless it is to be cold. A candidate that fails is left out from then on;
    *tell* is called with its failure. A slow one gets fewer turns.
    """
    outcomes = {candidate.name: Outcome() for candidate in candidates}
    with ExitStack() as cleanup:
        arms = []
        for number, candidate in enumerate(candidates):
            arms.append(Arm(candidate, workload, inputs, room / str(number)))
            cleanup.callback(arms[-1].close)
        # What is cold each time has nothing to warm up.
        to_warm_up = 0 if workload.mounted is Mounted.COLD else 1
        for repetition in range(repetitions + to_warm_up):
            first = repetition % len(arms)
            for arm in arms[first:] + arms[:first]:
                _take_turn(arm, outcomes[arm.candidate.name], counts=repetition >= to_warm_up, tell=tell)
    return outcomes


def _take_turn(arm: Arm, outcome: Outcome, *, counts: bool, tell: Callable[[str], None]) -> None:
    if outcome.failure is not None or (outcome.spent > _SLOW and len(outcome.samples) >= _ENOUGH):
        return
    try:
        with _alone(arm.inputs.sizes), _time_limit():
            start = time.monotonic()
            sample = arm.sample()
            outcome.spent += time.monotonic() - start
    except (OSError, CommandError, sqlite3.Error) as error:
        outcome.failure = " ".join(str(error).split()) or type(error).__name__
        outcome.samples.clear()
        tell(f"{arm.workload.name}: {arm.candidate.name} failed: {outcome.failure}")
        arm.close()
        return
    outcome.peak_memory = arm.peak_memory
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
