"""Puts a run's figures into docs/performance.md, and its chart beside it: ``python -m tools.bench.publish FILE...``.

A FILE is what ``--json`` wrote; of several, the last that has a workload counts. The tables stand between two marks;
what stands around them is written by hand.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tools.bench.chart import as_svg
from tools.bench.report import as_text
from tools.bench.result import from_document, merged
from tools.bench.workloads import ALL

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
BEGIN = "<!-- figures: written by tools.bench.publish -->\n"
END = "<!-- end of figures -->\n"


def main(words: Sequence[str], document: Path = DOCUMENT) -> int:
    """Write both files, and give the exit code."""
    if not words:
        print("usage: python -m tools.bench.publish FILE...", file=sys.stderr)
        return 2
    result = merged([from_document(json.loads(Path(word).read_text())) for word in words])
    measured = {row.workload for row in result.rows}
    missing = {workload.name: "by none of these runs" for workload in ALL if workload.name not in measured}
    result = replace(result, left_out={**missing, **result.left_out})
    chart = document.with_suffix(".svg")
    chart.write_text(as_svg(result))
    before, _, rest = document.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    figures = f"![The ratios as a chart]({chart.name})\n\n{as_text(result)}"
    document.write_text(f"{before}{BEGIN}\n{figures}\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
