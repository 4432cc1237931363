"""What follows from the samples: medians, quartiles, ratios to the baseline, geometric means."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from tools.bench.candidates import BASELINE
from tools.bench.measure import Outcome
from tools.bench.result import Figure, Row
from tools.bench.workload import Group


def row(workload: str, group: Group, outcomes: Mapping[str, Outcome]) -> Row:
    """Work out the figures from what the candidates did."""
    failures = {name: outcome.failure for name, outcome in outcomes.items() if outcome.failure is not None}
    done = {name: outcome for name, outcome in outcomes.items() if name not in failures}
    base = statistics.median(s.seconds for s in done[BASELINE].samples) if BASELINE in done else None
    return Row(workload, group, {name: _figure(outcome, base) for name, outcome in done.items()}, failures)


def _figure(outcome: Outcome, base: float | None) -> Figure:
    seconds = [sample.seconds for sample in outcome.samples]
    median, quartiles = statistics.median(seconds), _quartiles(seconds)
    return Figure(
        median=median,
        quartiles=quartiles,
        ratio=median / base if base else None,
        ratio_quartiles=(quartiles[0] / base, quartiles[1] / base) if base else None,
        workload_seconds=statistics.median(sample.workload_seconds for sample in outcome.samples),
        daemon_seconds=statistics.median(sample.daemon_seconds for sample in outcome.samples),
        peak_memory=outcome.peak_memory,
        disturbed=sum(sample.disturbed for sample in outcome.samples),
        samples=tuple(seconds),
    )


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def geometric_means(rows: Iterable[Row], candidates: Sequence[str]) -> dict[Group, dict[str, tuple[float, int]]]:
    """Give for each group and candidate the geometric mean of its ratios, and of how many workloads it is."""
    means: dict[Group, dict[str, tuple[float, int]]] = {}
    rows = list(rows)
    for group in Group:
        for name in candidates:
            figures = [row.figures[name].ratio for row in rows if row.group is group and name in row.figures]
            ratios = [ratio for ratio in figures if ratio is not None]
            if ratios:
                means.setdefault(group, {})[name] = (statistics.geometric_mean(ratios), len(ratios))
    return means


def compared(rows: Iterable[Row], ours: str, other: str) -> tuple[float, list[str]] | None:
    """Give how many times as long *other* takes as *ours*, by geometric mean, and the workloads in which it is faster.

    Faster is where the quartiles of *ours* lie wholly above its own. Nothing where no workload has both.
    """
    pairs = [(row.workload, row.figures[ours], row.figures[other]) for row in rows if {ours, other} <= set(row.figures)]
    if not pairs:
        return None
    mean = statistics.geometric_mean(theirs.median / mine.median for _, mine, theirs in pairs)
    return mean, [name for name, mine, theirs in pairs if mine.quartiles[0] > theirs.quartiles[1]]
