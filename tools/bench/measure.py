"""The order of a run: all candidates take turns at a workload, each repetition beginning with another one."""

import signal
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tools.bench.arm import Arm, Sample
from tools.bench.candidates import Candidate
from tools.bench.commands import CommandError
from tools.bench.inputs import Inputs
from tools.bench.workload import Workload

_LONGEST = 600
"""Seconds after which a run of one workload by one candidate counts as failed."""


@dataclass
class Outcome:
    """What one candidate did in one workload: its samples, or why there are none."""

    samples: list[Sample] = field(default_factory=list)
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
    """Run *workload* once to warm up and then *repetitions* times by each candidate, and give what each did.

    A candidate that fails is left out from then on; *tell* is called with its failure.
    """
    outcomes = {candidate.name: Outcome() for candidate in candidates}
    with ExitStack() as cleanup:
        arms = []
        for number, candidate in enumerate(candidates):
            arms.append(Arm(candidate, workload, inputs, room / str(number)))
            cleanup.callback(arms[-1].close)
        for repetition in range(repetitions + 1):
            first = repetition % len(arms)
            for arm in arms[first:] + arms[:first]:
                _take_turn(arm, outcomes[arm.candidate.name], counts=repetition > 0, tell=tell)
    return outcomes


def _take_turn(arm: Arm, outcome: Outcome, *, counts: bool, tell: Callable[[str], None]) -> None:
    if outcome.failure is not None:
        return
    try:
        with _time_limit():
            sample = arm.sample()
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
def _time_limit() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"not done after {_LONGEST} seconds")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(_LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
