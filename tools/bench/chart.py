"""The ratios as a chart in SVG: a line for each workload, a mark on it for each candidate, on a logarithmic scale."""

import math
from collections.abc import Iterator, Sequence
from html import escape

from tools.bench.candidates import BASELINE
from tools.bench.figures import geometric_means
from tools.bench.result import Result, Row
from tools.bench.workload import Group

_COLOURS = ("#0072b2", "#d55e00", "#999999", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#000000")
"""Told apart also by who sees few colours; the order is that of the candidates, overlayfs left out."""
_LEFT = 250
_WIDTH = 900
_RIGHT = 20
_LINE = 15
_TOP = 58


def as_svg(result: Result) -> str:
    """Give the chart."""
    names = [name for name in result.versions if name != BASELINE]
    scale = _Scale([ratio for row in result.rows for name in names for ratio in _ratios(row, name)])
    lines = list(_lines(result, names, scale))
    height = _TOP + _LINE * (len(lines) + 1)
    style = 'font-family="sans-serif" font-size="11"'
    title = f"Time as a multiple of {BASELINE}: median, quartiles; diamond: geometric mean"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" {style}>',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="8" y="16" font-size="13">{title}</text>',
        *_legend(names),
        *scale.grid(height - _LINE),
    ]
    for number, line in enumerate(lines):
        parts.append(f'<g transform="translate(0 {_TOP + _LINE * number})">{line}</g>')
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Scale:
    """Where a ratio lies from left to right; the ends are powers of two."""

    def __init__(self, ratios: Sequence[float]) -> None:
        self._low = math.floor(math.log2(min([*ratios, 0.5])))
        self._high = math.ceil(math.log2(max([*ratios, 2])))

    def x(self, ratio: float) -> float:
        share = (math.log2(ratio) - self._low) / (self._high - self._low)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def grid(self, bottom: int) -> Iterator[str]:
        for power in range(self._low, self._high + 1):
            x = self.x(2.0**power)
            colour, width = ("black", 1.2) if power == 0 else ("#dddddd", 1)
            yield f'<line x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{bottom}" stroke="{colour}" stroke-width="{width}"/>'
            yield f'<text x="{x}" y="{_TOP - 11}" text-anchor="middle">{2.0**power:g}</text>'


def _legend(names: Sequence[str]) -> Iterator[str]:
    for number, name in enumerate(names):
        x = 12 + number * 145
        yield f'<circle cx="{x}" cy="28" r="4" fill="{_colour(number)}"/>'
        yield f'<text x="{x + 8}" y="32">{escape(name)}</text>'


def _lines(result: Result, names: Sequence[str], scale: _Scale) -> Iterator[str]:
    means = geometric_means(result.rows, names)
    for group in Group:
        rows = [row for row in result.rows if row.group is group and row.baseline == BASELINE]
        if rows:
            yield "".join(_mean_line(group, [means.get(group, {}).get(name) for name in names], scale))
            yield from ("".join(_row_line(row, names, scale)) for row in rows)


def _mean_line(group: Group, means: Sequence[tuple[float, int] | None], scale: _Scale) -> Iterator[str]:
    yield f'<text x="8" y="4" font-weight="bold">{escape(group.value)}</text>'
    for number, mean in enumerate(means):
        if mean is not None:
            x = scale.x(mean[0])
            yield f'<path d="M{x} -6l6 6l-6 6l-6 -6z" fill="{_colour(number)}" stroke="white"/>'


def _row_line(row: Row, names: Sequence[str], scale: _Scale) -> Iterator[str]:
    yield f'<text x="18" y="4">{escape(row.workload)}</text>'
    for number, name in enumerate(names):
        ratios = _ratios(row, name)
        if ratios:
            median, low, high = map(scale.x, ratios)
            title = escape(f"{row.workload}, {name}: {ratios[0]:.2f}")
            yield f'<line x1="{low}" x2="{high}" y1="0" y2="0" stroke="{_colour(number)}" stroke-width="2"/>'
            yield f'<circle cx="{median}" cy="0" r="4" fill="{_colour(number)}"><title>{title}</title></circle>'


def _ratios(row: Row, name: str) -> tuple[float, ...]:
    """Give the median's ratio and the quartiles', or nothing where there are none."""
    figure = row.figures.get(name)
    if figure is None or figure.ratio is None or figure.ratio_quartiles is None:
        return ()
    return (figure.ratio, *figure.ratio_quartiles)


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]
