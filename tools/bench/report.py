"""The results as text, for a terminal and for Markdown, which is the same."""

import itertools
from collections.abc import Mapping, Sequence

from tools.bench.candidates import BASELINE
from tools.bench.figures import compared, geometric_means, processor_ratio
from tools.bench.result import Figure, Result, Row
from tools.bench.workload import Group


def as_text(result: Result) -> str:
    """Give tables, as Markdown whose columns are aligned, so that they can be read as they are."""
    names = list(result.versions)
    parts = [
        _means_table("time, geometric means", geometric_means(result.rows, names), names),
        _means_table("processor time", geometric_means(result.rows, names, processor_ratio), names),
        _comparison(result, names),
    ]
    for group in Group:
        rows = [row for row in result.rows if row.group is group]
        if rows:
            table = _ratio_table(rows, names) if group.is_mounted else _programs_table(rows)
            parts.append(f"### {group.value}\n\n{table}")
    mounted = [row for row in result.rows if row.group.is_mounted]
    if mounted:
        parts.append(
            f"### Processor time, of which the daemon's, and the daemon's peak memory\n\n{_cost_table(mounted, names)}"
        )
    parts.append(_remarks(result))
    return "\n\n".join(part for part in parts if part) + "\n"


def _means_table(title: str, means: Mapping[Group, Mapping[str, tuple[float, int]]], names: Sequence[str]) -> str:
    if not means:
        return ""
    lines = [[title, "workloads", *names]]
    for group, by_name in means.items():
        most = max(count for _, count in by_name.values())
        cells = [_mean(by_name.get(name), most) for name in names]
        lines.append([group.value, str(most), *cells])
    return _table(lines)


def _mean(mean: tuple[float, int] | None, most: int) -> str:
    if mean is None:
        return "-"
    return f"{mean[0]:.2f}" + (f" (of {mean[1]})" if mean[1] < most else "")


def _comparison(result: Result, names: Sequence[str]) -> str:
    """Say how each candidate of this project does against each of the others, over all workloads.

    It is slower where its quartiles lie wholly above the other's.
    """
    others = [name for name in names if name != BASELINE and not result.versions[name].startswith("unionfs ")]
    ours = [name for name in names if name != BASELINE and name not in others]
    lines = []
    for mine, other in itertools.product(ours, others):
        if found := compared(result.rows, mine, other):
            mean, slower = found
            where = f"slower in {len(slower)}: {'; '.join(slower)}" if slower else "slower in none"
            lines.append(f"- {mine} is {mean:.2f} times as fast as {other} by geometric mean; {where}")
    return "\n".join(lines)


def _ratio_table(rows: Sequence[Row], names: Sequence[str]) -> str:
    lines = [["workload", *names]]
    lines += [[row.workload, *(_cell(row, name) for name in names)] for row in rows]
    return _table(lines)


def _cell(row: Row, name: str) -> str:
    figure = row.figures.get(name)
    if figure is None:
        return _absent(row, name)
    if name == BASELINE or figure.ratio is None or figure.ratio_quartiles is None:
        return _milliseconds(figure)
    low, high = figure.ratio_quartiles
    return f"{figure.ratio:.2f} ({low:.2f} to {high:.2f})"


def _absent(row: Row, name: str) -> str:
    return "failed" if name in row.failures else "not measured"


def _milliseconds(figure: Figure) -> str:
    low, high = (1000 * seconds for seconds in figure.quartiles)
    places = 1 if figure.median < 0.1 else 0
    return f"{1000 * figure.median:.{places}f} ms ({low:.{places}f} to {high:.{places}f})"


def _programs_table(rows: Sequence[Row]) -> str:
    """Give the workloads without a mount: a line for each program, with its ratio, its time and its processor time."""
    lines = [["workload", "program", "ratio", "time", "processor time"]]
    for row in rows:
        for name in (*row.figures, *row.failures):
            figure = row.figures.get(name)
            if figure is None:
                lines.append([row.workload, name, "failed", "", ""])
                continue
            ratio = "-" if figure.ratio is None else f"{figure.ratio:.2f}"
            lines.append([row.workload, name, ratio, _milliseconds(figure), f"{figure.workload_seconds:.2f} s"])
    return _table(lines)


def _cost_table(rows: Sequence[Row], names: Sequence[str]) -> str:
    lines = [["workload", *names]]
    lines += [[row.workload, *(_cost(row, name) for name in names)] for row in rows]
    return _table(lines)


def _cost(row: Row, name: str) -> str:
    figure = row.figures.get(name)
    if figure is None:
        return _absent(row, name)
    total = figure.workload_seconds + figure.daemon_seconds
    if name == BASELINE:
        return f"{total:.2f} s"
    return f"{total:.2f} s ({figure.daemon_seconds:.2f}), {figure.peak_memory / 1024:.0f} MiB"


def _table(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    padded.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(line) + " |" for line in padded)


def _remarks(result: Result) -> str:
    lines = [f"{name}: {version}" for name, version in {**result.versions, **result.programs}.items()]
    lines += [f"{name}: **not measured**: {reason}" for name, reason in result.unavailable.items()]
    lines += [f"{workload}: **not measured**: {reason}" for workload, reason in result.left_out.items()]
    for row in result.rows:
        lines += [f"{row.workload}: {name} **failed**: {reason}" for name, reason in row.failures.items()]
    lines += _disturbed(result)
    lines += [_told(run) for run in result.runs]
    return "\n".join(f"- {line}" for line in lines)


def _told(run: Mapping[str, str | int]) -> str:
    count = "repetition" if run["repetitions"] == 1 else "repetitions"
    return (
        f"{run['date']}, Linux {run['kernel']}, {run['processors']} x {run['processor']}, {run['memory_mib']} MiB,"
        f" load average {run['load_average']}, commit {run['commit']}, {run['sizes']} sizes,"
        f" {run['repetitions']} {count}"
    )


def _disturbed(result: Result) -> list[str]:
    counts = {
        f"{row.workload} ({name} {figure.disturbed} of {len(figure.samples)})": figure.disturbed
        for row in result.rows
        for name, figure in row.figures.items()
    }
    disturbed = [where for where, count in counts.items() if count]
    return [f"another program had the caches dropped during: {', '.join(disturbed)}"] if disturbed else []
