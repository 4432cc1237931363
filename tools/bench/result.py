"""The results of a run, and the same as a document for JSON."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.bench.candidates import BASELINE
from tools.bench.workload import Group


@dataclass(frozen=True)
class Figure:
    """A candidate's figures for one workload: seconds, and their ratios to the baseline's median.

    Besides, the medians of the processor time of the workload and of the daemon, and the daemon's peak memory in KiB;
    and how many of the samples were taken though another program had the kernel's caches dropped.
    There are no ratios where the baseline failed.
    """

    median: float
    quartiles: tuple[float, float]
    ratio: float | None
    ratio_quartiles: tuple[float, float] | None
    workload_seconds: float
    daemon_seconds: float
    peak_memory: int
    disturbed: int
    samples: tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """All figures for one workload; in ``failures`` who has none, with the reason. Ratios are to ``baseline``'s."""

    workload: str
    group: Group
    figures: Mapping[str, Figure]
    failures: Mapping[str, str]
    baseline: str = BASELINE


@dataclass(frozen=True)
class Result:
    """What one run measured, or several.

    ``runs`` tells of each when, on what and how; ``versions`` describes each candidate that was measured;
    ``unavailable`` and ``left_out`` give the reasons why other candidates, and other workloads, were not. ``programs``
    describes each program of a workload without a mount.
    """

    runs: Sequence[Mapping[str, str | int]]
    rows: Sequence[Row]
    versions: Mapping[str, str]
    unavailable: Mapping[str, str]
    left_out: Mapping[str, str]
    programs: Mapping[str, str] = field(default_factory=dict)


def this_run(repetitions: int, *, quick: bool) -> dict[str, str | int]:
    """Tell of a run that begins now on this machine."""
    cpus = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "kernel": platform.release(),
        "processor": cpus[0].partition(":")[2].strip() if cpus else platform.machine(),
        "processors": os.cpu_count() or 1,
        "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (1 << 20),
        "load_average": f"{os.getloadavg()[2]:.1f}",
        "python": platform.python_version(),
        "commit": _commit(),
        "repetitions": repetitions,
        "sizes": "quick" if quick else "full",
    }


def _commit() -> str:
    command = ("git", "describe", "--always", "--dirty")
    found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def merged(results: Sequence[Result]) -> Result:
    """Give what the runs measured together; where several measured the same workload, the last counts."""
    rows = {row.workload: row for result in results for row in result.rows}
    versions = {name: text for result in results for name, text in result.versions.items()}
    programs = {name: text for result in results for name, text in result.programs.items()}
    unavailable = {name: why for result in results for name, why in result.unavailable.items()}
    left_out = {name: why for result in results for name, why in result.left_out.items()}
    return Result(
        runs=[run for result in results for run in result.runs],
        rows=list(rows.values()),
        versions=versions,
        unavailable={name: why for name, why in unavailable.items() if name not in {**versions, **programs}},
        left_out={name: why for name, why in left_out.items() if name not in rows},
        programs=programs,
    )


def to_document(result: Result) -> dict[str, Any]:
    """Give everything, down to the single samples; times are in seconds, memory in KiB."""
    workloads = [
        {
            "name": row.workload,
            "group": row.group.name.lower(),
            "results": {name: vars(figure) for name, figure in row.figures.items()},
            "failures": dict(row.failures),
            "baseline": row.baseline,
        }
        for row in result.rows
    ]
    return {**vars(result), "rows": workloads}


def from_document(document: Mapping[str, Any]) -> Result:
    """Give the result that ``to_document`` made into *document*.

    Raises:
        KeyError, TypeError: it isn't such a document.
    """
    rows = [
        Row(
            workload=workload["name"],
            group=Group[workload["group"].upper()],
            figures={name: Figure(**figure) for name, figure in workload["results"].items()},
            failures=workload["failures"],
            baseline=workload.get("baseline", BASELINE),
        )
        for workload in document["rows"]
    ]
    return Result(**{**document, "rows": rows})
