"""On which processor to answer: on that of whoever asks.

An answer wakes the one who asked. Where that is on another processor, asleep meanwhile, waking it takes an interrupt;
in a virtual machine that costs more than everything else (measured: 7 microseconds for a request and its answer on one
processor, 90 to 200 on two). Owns finding out where the requests come from, and moving the calling thread there.
"""

import contextlib
import os

# Looking where a process runs takes as long as answering a request or two, so it is done once in this many.
LOOK_EVERY = 32
# /proc/PID/stat: the processor that it last ran on is the 39th field (proc_pid_stat(5)); two stand before the state.
_PROCESSOR = 39 - 3


class Placement:
    """Where one thread runs: on the processor of those who ask, while they are on one, otherwise wherever it may."""

    def __init__(self) -> None:
        self._allowed = os.sched_getaffinity(0)
        self._requests = 0
        self._seen: int | None = None
        self._placed: int | None = None

    @property
    def is_shared(self) -> bool:
        """Whether those who ask run on this thread's processor, and so not while it does."""
        return self._placed is not None

    def note(self, pid: int) -> None:
        """Learn that the process *pid* asked; 0 is one that can't be known, or the kernel itself."""
        self._requests += 1
        if self._requests >= LOOK_EVERY:
            self._requests = 0
            self._follow(processor_of(pid) if pid else None)

    def _follow(self, processor: int | None) -> None:
        """Move where two looks agree; leave the choice to the kernel where they don't."""
        agreed = processor if processor == self._seen and processor in self._allowed else None
        self._seen = processor
        if agreed != self._placed:
            self._placed = agreed
            _move(self._allowed if agreed is None else {agreed})

    def release(self) -> None:
        """Let the calling thread run on every processor that the first one was allowed."""
        _move(self._allowed)


def _move(processors: set[int]) -> None:
    # Somebody may have taken these processors away meanwhile (cpuset(7)); answering elsewhere is as right.
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, processors)


def processor_of(pid: int) -> int | None:
    """Give the processor on which the thread *pid* last ran; None where that can't be known.

    It may be gone, or may not be looked at, or no descriptor is left for looking: whatever it is, the mount goes on.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as stat:
            # The second field, the program's name in parentheses, may hold anything.
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[_PROCESSOR])
