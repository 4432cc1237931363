"""Every workload, in the order in which they run."""

from tools.bench.programs import ProgramWorkload
from tools.bench.workload import Workload
from tools.bench.workloads import committing, content, databases, files, names, reading, starting, unpacking

ALL: tuple[Workload | ProgramWorkload, ...] = (
    *starting.WORKLOADS,
    *reading.WARM,
    *files.WORKLOADS,
    *content.WORKLOADS,
    *databases.WORKLOADS,
    *names.WORKLOADS,
    *reading.COLD,
    *unpacking.WORKLOADS,
    *committing.WORKLOADS,
)
