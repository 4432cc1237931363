"""What a workload is: something done in a mount, of which one part is timed."""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.bench.inputs import Inputs
from tools.bench.sizes import Sizes


class Group(enum.Enum):
    """Workloads whose ratios have one geometric mean; the value is the group's title."""

    START = "Start"
    READ_ONLY = "Reading, warm, read-only mount"
    WRITABLE = "Reading, warm, writable mount"
    COLD = "Reading, cold"
    NAMES = "Large directory"
    WRITING = "Writing, upper on tmpfs"
    UNPACKING = "Unpacking an image to a tmpfs"
    COMMITTING = "Committing to a store on a tmpfs"

    @property
    def is_mounted(self) -> bool:
        """Whether its workloads are done in a mount, whose candidates are compared."""
        return self not in (Group.UNPACKING, Group.COMMITTING)


class Mounted(enum.Enum):
    """When a workload's mount is made."""

    ONCE = enum.auto()
    """Before the first repetition: later ones meet what the kernel and the daemon know by then."""
    EACH = enum.auto()
    """Anew before each repetition, with an empty upper."""
    COLD = enum.auto()
    """Likewise, and then the kernel's caches are dropped."""
    TIMED = enum.auto()
    """By the workload itself: mounting is what is timed."""


@dataclass(frozen=True)
class Place:
    """Where a workload works: the mount, and an empty directory of its own outside."""

    merged: Path
    outside: Path
    inputs: Inputs
    mount: Callable[[], None]

    @property
    def sizes(self) -> Sizes:
        """How much is to be done."""
        return self.inputs.sizes

    @property
    def directory(self) -> Path:
        """A directory in the mount for what a workload writes."""
        return self.merged / "srv" / "bench"


def nothing(_place: Place) -> None:
    """Do nothing: for workloads that need no preparation."""


@dataclass(frozen=True)
class Workload:
    """One measured task.

    ``run`` is what is timed; ``prepare`` comes before each run and ``clean_up`` after it. ``layers`` are put above the
    image's. A workload that ``needs_debian`` runs the layers' own programs.
    """

    name: str
    group: Group
    run: Callable[[Place], None]
    prepare: Callable[[Place], None] = nothing
    clean_up: Callable[[Place], None] = nothing
    mounted: Mounted = Mounted.ONCE
    writable: bool = True
    layers: Callable[[Inputs], Sequence[Path]] = field(default=lambda _inputs: ())
    needs_debian: bool = False
