"""Workloads without a mount, each done by several programs: what these are, and one of them at work."""

import gc
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.bench.arm import Sample
from tools.bench.commands import CLEAN_ENVIRONMENT, run
from tools.bench.inputs import Inputs
from tools.bench.workload import Group
from unionfs.linux.mounts import MNT_DETACH, umount2

Command = Sequence[str | Path]


@dataclass(frozen=True)
class Program:
    """One way to do a workload.

    ``commands`` gives what is run, one after another, for the inputs and in an empty directory; ``version`` the command
    that says which version it is.
    """

    name: str
    version: Command
    commands: Callable[[Inputs, Path], Iterable[Command]]

    def described(self) -> str:
        """Say which version it is.

        Raises:
            OSError: the program isn't there.
            CalledProcessError: it doesn't run.
        """
        return subprocess.run(self.version, capture_output=True, text=True, check=True).stdout.splitlines()[0]


@dataclass(frozen=True)
class ProgramWorkload:
    """A measured task; ratios are to the first of its ``programs``."""

    name: str
    group: Group
    programs: Sequence[Program]


class ProgramArm:
    """Runs one program of a workload in an empty directory on a tmpfs, each time anew."""

    peak_memory = 0

    def __init__(self, program: Program, workload: ProgramWorkload, inputs: Inputs, room: Path) -> None:
        self.name = program.name
        self.workload_name = workload.name
        self._program = program
        self._inputs = inputs
        self._room = room

    def sample(self) -> Sample:
        """Run the program.

        Raises:
            OSError, CommandError: it failed.
        """
        self._room.mkdir()
        commands = list(self._program.commands(self._inputs, self._room))
        # What a program puts aside would otherwise go to a disk.
        environment = {**CLEAN_ENVIRONMENT, "TMPDIR": str(self._room)}
        gc.collect()
        used, start = _processor_seconds(), time.perf_counter()
        for command in commands:
            run(*command, env=environment)
        sample = Sample(time.perf_counter() - start, _processor_seconds() - used, 0.0)
        self.close()
        return sample

    def close(self) -> None:
        """Remove what was made, and what was mounted in it."""
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mountpoint in mounts[::-1]:
            if mountpoint.startswith(f"{self._room}/"):
                umount2(mountpoint.encode(), MNT_DETACH)
        if self._room.exists():
            shutil.rmtree(self._room)


def _processor_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime
