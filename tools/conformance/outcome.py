"""What running a suite showed, and what of it counts against this project."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """A suite on one candidate's mount: how many checks passed, the names of those that failed, and whose mount it was.

    ``mounts`` are the lines of the mount table that were seen at the mountpoint while the suite ran, each once.
    """

    candidate: str
    passed: int
    failed: Sequence[str]
    mounts: Sequence[str]

    def line(self) -> str:
        """Give the counts as one line."""
        return f"  {self.candidate:18} {self.passed:6} passed {len(self.failed):5} failed"


def held_against(reference: Outcome, ours: Outcome) -> list[str]:
    """Name what fails on our mount and passes on that of the reference."""
    return [name for name in ours.failed if name not in set(reference.failed)]
