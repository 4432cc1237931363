"""One candidate during one workload: its mount, its daemon, and what a run in it costs."""

import errno
import gc
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from tools import system
from tools.bench.candidates import Candidate, Stack
from tools.bench.commands import CLEAN_ENVIRONMENT, CommandError
from tools.bench.inputs import Inputs
from tools.bench.workload import Mounted, Place, Workload
from unionfs.linux.mounts import MNT_DETACH, umount2

_PATIENCE = 10.0
"""Seconds that a daemon gets to end after its mount has."""
_TRYING = 5.0
"""Seconds after which a run counts though what it needs wasn't warm: where it takes long, it hardly ever is."""
_PROGRAMS = ("find", "tar", "grep", "chroot")
"""What the cold workloads run that isn't in the mount."""


@dataclass(frozen=True)
class Sample:
    """What one run took: seconds by the clock, of the workload's processor time, and of the daemon's.

    It is ``disturbed`` where the caches were to be warm, and another program had them dropped.
    """

    seconds: float
    workload_seconds: float
    daemon_seconds: float
    disturbed: bool = False


class Arm:
    """Runs one workload in the mount of one candidate."""

    def __init__(self, candidate: Candidate, workload: Workload, inputs: Inputs, room: Path) -> None:
        self.name = candidate.name
        self.workload_name = workload.name
        self.candidate = candidate
        self.workload = workload
        self.inputs = inputs
        self.peak_memory = 0
        """KiB that the daemon had resident at most, in the repetition in which it was most."""
        self._room = room
        self._place = Place(room / "merged", room / "outside", inputs, self._mount)
        self._daemon: set[int] = set()
        self._mounted = False
        self._dropped: tuple[str, ...] | None = None

    def sample(self) -> Sample:
        """Run the workload; if the caches were to be warm, and were dropped since the run before, run it again.

        Raises:
            OSError, CommandError: it failed.
        """
        end = time.monotonic() + _TRYING
        while True:
            # If they were dropped during the run before, that warmed up only a part.
            before, self._dropped = self._dropped, system.times_dropped()
            sample = self._run()
            if self.workload.mounted is Mounted.COLD or before in {None, system.times_dropped()}:
                return sample
            if time.monotonic() > end:
                return replace(sample, disturbed=True)

    def _run(self) -> Sample:
        """Run the workload once, mounting first if it is to be."""
        how = self.workload.mounted
        if how in {Mounted.EACH, Mounted.COLD} or not self._room.exists():
            self.close()
            self._make_room()
            if how is not Mounted.TIMED:
                self._mount()
        self.workload.prepare(self._place)
        if how is Mounted.COLD:
            system.drop_caches()
            # The programs' own pages are to be there: what is measured is the mount.
            for program in _PROGRAMS:
                subprocess.run([program, "--version"], stdout=subprocess.DEVNULL, check=True)
        sample = self._timed()
        self.peak_memory = max(self.peak_memory, sum(map(system.peak_memory, self._daemon)))
        self.workload.clean_up(self._place)
        if how is Mounted.TIMED:
            self.close()
        return sample

    def _timed(self) -> Sample:
        gc.collect()
        gc.disable()
        try:
            used, used_by_daemon = _processor_seconds(), self._daemon_seconds()
            start = time.perf_counter()
            self.workload.run(self._place)
            seconds = time.perf_counter() - start
            return Sample(seconds, _processor_seconds() - used, self._daemon_seconds() - used_by_daemon)
        finally:
            gc.enable()

    def _daemon_seconds(self) -> float:
        return sum(map(system.processor_seconds, self._daemon))

    def _make_room(self) -> None:
        for name in ("merged", "outside", "upper", "work"):
            (self._room / name).mkdir(parents=True)

    def _mount(self) -> None:
        lowers = (*self.workload.layers(self._place.inputs), *self._place.inputs.image)
        writable = self.workload.writable
        upper, work = (self._room / "upper", self._room / "work") if writable else (None, None)
        command = self.candidate.command(Stack(lowers, upper, work), self._place.merged)
        before = system.processes()
        self._mounted = True
        # Not a pipe: a daemon may keep its end of it.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=said, env=CLEAN_ENVIRONMENT, check=False)
            if done.returncode:
                said.seek(0)
                lines = said.read().decode(errors="replace").strip().splitlines()
                raise CommandError(f"mounting failed: {lines[-1] if lines else f'exit code {done.returncode}'}")
        # Nothing else that is started here lasts, so what is new is the daemon.
        self._daemon = system.processes() - before

    def close(self) -> None:
        """Unmount, wait until the daemon has ended, and remove the upper.

        Raises:
            OSError: unmounting failed, otherwise than because the mount isn't there or is busy.
        """
        if self._mounted:
            self._unmount()
            self._mounted = False
        for pid in self._daemon:
            _wait_for_end(pid)
        self._daemon = set()
        if self._room.exists():
            shutil.rmtree(self._room)

    def _unmount(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                umount2(bytes(self._place.merged))
                return
            except OSError as error:
                if error.errno == errno.EINVAL:  # it was never mounted
                    return
                if error.errno != errno.EBUSY:
                    raise
                if time.monotonic() > deadline:
                    umount2(bytes(self._place.merged), MNT_DETACH)
                    return
            time.sleep(0.05)


def _processor_seconds() -> float:
    """Give the processor time of this process and of the children that have ended."""
    mine, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return mine.ru_utime + mine.ru_stime + children.ru_utime + children.ru_stime


def _wait_for_end(pid: int) -> None:
    """Wait for a child process, which daemons become when their parents end; kill it if it doesn't end."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
        except ChildProcessError:
            return
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
