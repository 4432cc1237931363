"""What follows from the samples: medians, quartiles, ratios to the baseline, geometric means."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

from tools.bench.candidates import BASELINE
from tools.bench.measure import Outcome
from tools.bench.result import Figure, Row
from tools.bench.workload import Group


def row(workload: str, group: Group, outcomes: Mapping[str, Outcome], baseline: str = BASELINE) -> Row:
    """Work out the figures from what the contenders did; ratios are to those of *baseline*."""
    failures = {name: outcome.failure for name, outcome in outcomes.items() if outcome.failure is not None}
    done = {name: outcome for name, outcome in outcomes.items() if name not in failures}
    base = statistics.median(s.seconds for s in done[baseline].samples) if baseline in done else None
    return Row(workload, group, {name: _figure(outcome, base) for name, outcome in done.items()}, failures, baseline)


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


def time_ratio(row: Row, name: str) -> float | None:
    """Give how many times as long a candidate took as the baseline; nothing where either has no figures."""
    return row.figures[name].ratio if name in row.figures else None


def processor_ratio(row: Row, name: str) -> float | None:
    """Give likewise how many times as much processor time, that of its daemon included."""
    if not {name, row.baseline} <= set(row.figures):
        return None
    mine, base = (row.figures[one].workload_seconds + row.figures[one].daemon_seconds for one in (name, row.baseline))
    return mine / base if base else None


def geometric_means(
    rows: Sequence[Row], candidates: Sequence[str], ratio_of: Callable[[Row, str], float | None] = time_ratio
) -> dict[Group, dict[str, tuple[float, int]]]:
    """Give for each group and candidate the geometric mean of its ratios, and of how many workloads it is."""
    means: dict[Group, dict[str, tuple[float, int]]] = {}
    for group in Group:
        for name in candidates:
            found = [ratio_of(row, name) for row in rows if row.group is group]
            ratios = [ratio for ratio in found if ratio]
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
