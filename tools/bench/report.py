"""The results as text for a terminal and for Markdown, which is the same, and as a document for JSON."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.bench.candidates import BASELINE
from tools.bench.figures import Figure, Row, geometric_means
from tools.bench.workload import Group


@dataclass(frozen=True)
class Result:
    """A whole run.

    ``versions`` describes each candidate that was measured; ``unavailable`` and ``left_out`` give the reasons why other
    candidates, and other workloads, were not.
    """

    rows: Sequence[Row]
    versions: Mapping[str, str]
    unavailable: Mapping[str, str]
    left_out: Mapping[str, str]
    repetitions: int
    quick: bool


def as_document(result: Result) -> dict[str, Any]:
    """Give everything, down to the single samples; times are in seconds, memory in KiB."""
    means = geometric_means(result.rows, list(result.versions))
    return {
        "machine": machine(),
        "repetitions": result.repetitions,
        "quick": result.quick,
        "baseline": BASELINE,
        "candidates": dict(result.versions),
        "unavailable": dict(result.unavailable),
        "left_out": dict(result.left_out),
        "workloads": [
            {
                "name": row.workload,
                "group": row.group.name.lower(),
                "results": {name: vars(figure) for name, figure in row.figures.items()},
                "failures": dict(row.failures),
            }
            for row in result.rows
        ],
        "geometric_means": {
            group.name.lower(): {
                name: {"ratio": mean, "workloads": count} for name, (mean, count) in means[group].items()
            }
            for group in means
        },
    }


def machine() -> dict[str, str | int]:
    """Say on what the figures were taken, and when."""
    cpus = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "kernel": platform.release(),
        "processor": cpus[0].partition(":")[2].strip() if cpus else platform.machine(),
        "processors": os.cpu_count() or 1,
        "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (1 << 20),
        "python": platform.python_version(),
    }


def as_text(result: Result) -> str:
    """Give tables, as Markdown whose columns are aligned, so that they can be read as they are."""
    names = list(result.versions)
    parts = [_means_table(result, names)]
    for group in Group:
        rows = [row for row in result.rows if row.group is group]
        if rows:
            parts.append(f"### {group.value}\n\n{_ratio_table(rows, names)}")
    daemons = [name for name in names if name != BASELINE]
    if daemons and result.rows:
        parts.append(
            f"### The daemons: seconds of processor time, and peak memory\n\n{_cost_table(result.rows, daemons)}"
        )
    parts.append(_remarks(result))
    return "\n\n".join(part for part in parts if part) + "\n"


def _means_table(result: Result, names: Sequence[str]) -> str:
    means = geometric_means(result.rows, names)
    lines = [["geometric means", "workloads", *names]]
    for group, by_name in means.items():
        most = max(count for _, count in by_name.values())
        cells = [_mean(by_name.get(name), most) for name in names]
        lines.append([group.value, str(most), *cells])
    return _table(lines)


def _mean(mean: tuple[float, int] | None, most: int) -> str:
    if mean is None:
        return "-"
    return f"{mean[0]:.2f}" + (f" (of {mean[1]})" if mean[1] < most else "")


def _ratio_table(rows: Sequence[Row], names: Sequence[str]) -> str:
    lines = [["workload", *names]]
    lines += [[row.workload, *(_cell(row, name) for name in names)] for row in rows]
    return _table(lines)


def _cell(row: Row, name: str) -> str:
    figure = row.figures.get(name)
    if figure is None:
        return "failed"
    if name == BASELINE or figure.ratio is None or figure.ratio_quartiles is None:
        return _milliseconds(figure)
    low, high = figure.ratio_quartiles
    return f"{figure.ratio:.2f} ({low:.2f} to {high:.2f})"


def _milliseconds(figure: Figure) -> str:
    low, high = (1000 * seconds for seconds in figure.quartiles)
    places = 1 if figure.median < 0.1 else 0
    return f"{1000 * figure.median:.{places}f} ms ({low:.{places}f} to {high:.{places}f})"


def _cost_table(rows: Sequence[Row], names: Sequence[str]) -> str:
    lines = [["workload", *names]]
    lines += [[row.workload, *(_cost(row.figures.get(name)) for name in names)] for row in rows]
    return _table(lines)


def _cost(figure: Figure | None) -> str:
    return f"{figure.daemon_seconds:.2f} s, {figure.peak_memory / 1024:.0f} MiB" if figure else "failed"


def _table(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    padded.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(line) + " |" for line in padded)


def _remarks(result: Result) -> str:
    on = machine()
    count = "repetition" if result.repetitions == 1 else "repetitions"
    lines = [f"{name}: {version}" for name, version in result.versions.items()]
    lines += [f"{name}: **not measured**: {reason}" for name, reason in result.unavailable.items()]
    lines += [f"{workload}: **not measured**: {reason}" for workload, reason in result.left_out.items()]
    for row in result.rows:
        lines += [f"{row.workload}: {name} **failed**: {reason}" for name, reason in row.failures.items()]
    lines.append(
        f"{on['date']}, Linux {on['kernel']}, {on['processors']} x {on['processor']}, {on['memory_mib']} MiB;"
        f" {result.repetitions} {count} after one to warm up" + (", quick" if result.quick else "")
    )
    return "\n".join(f"- {line}" for line in lines)
