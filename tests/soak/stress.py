"""stress-ng's stressors of the class ``filesystem``, some at a time, in a directory."""

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

AT_A_TIME = 5
# They work elsewhere: on mounts of their own, in /proc, in memory.
_ELSEWHERE = {"bind-mount", "binderfs", "eventfd", "procfs"}


def stressors() -> list[str]:
    """Name those that work in their directory."""
    # An unknown class is refused with a list of all, and "class?" lists its stressors.
    said = subprocess.run(["stress-ng", "--class", "filesystem?"], capture_output=True, text=True, check=False).stdout
    return sorted(set(said.partition(":")[2].split()) - _ELSEWHERE)


def run(directory: Path, seconds: float) -> None:
    """Run each for its share of the time, several at once.

    Raises:
        CalledProcessError: one found something wrong; what was said is among the notes.
    """
    batches = list(_batches(stressors()))
    for batch in batches:
        share = max(1, round(seconds / len(batches)))
        command = ["stress-ng", "--temp-path", str(directory), "--timeout", f"{share}s", "--verify"]
        for name in batch:
            command += [f"--{name}", "1"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            error = subprocess.CalledProcessError(done.returncode, " ".join(command))
            error.add_note(done.stdout)
            raise error


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(names), AT_A_TIME):
        yield names[first : first + AT_A_TIME]
