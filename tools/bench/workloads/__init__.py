"""Every workload, in the order in which they run."""

from tools.bench.workload import Workload
from tools.bench.workloads import files, reading

ALL: tuple[Workload, ...] = (*reading.WORKLOADS, *files.WORKLOADS)
