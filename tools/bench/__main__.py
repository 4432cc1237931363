"""The command line: ``python -m tools.bench [options]``, as root."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.bench import arguments
from tools.bench.candidates import Candidate, all_candidates
from tools.bench.figures import row
from tools.bench.inputs import Inputs, inputs
from tools.bench.measure import measure
from tools.bench.report import as_text
from tools.bench.result import Result, Row, this_run, to_document
from tools.bench.sizes import FULL, QUICK
from tools.bench.workload import Workload
from tools.bench.workloads import ALL
from tools.enclosure import run_enclosed


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the files that are asked for, and give the exit code."""
    given = arguments.parser().parse_args(words)
    if given.list:
        print("\n".join(workload.name for workload in ALL))
        return 0
    if os.geteuid() != 0:
        print("bench: this needs root, to mount and to drop caches", file=sys.stderr)
        return 1
    try:
        workloads = arguments.chosen_workloads(given.only)
        candidates = arguments.chosen_candidates(all_candidates(os.environ, given.variant), given.candidates)
    except ValueError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    try:
        return run_enclosed("bench", lambda room: _run(given, workloads, candidates, room))
    except OSError as error:
        _tell(f"no namespaces of its own: {error}")
        return 1


def _run(given: argparse.Namespace, workloads: Sequence[Workload], candidates: Sequence[Candidate], room: Path) -> int:
    sizes = QUICK if given.quick else FULL
    versions, unavailable = _tried(candidates)
    there = [candidate for candidate in candidates if candidate.name in versions]
    left_out = {w.name: "runs programs of a Debian system" for w in workloads if w.needs_debian and not sizes.debian}
    repetitions = given.repetitions or (1 if given.quick else 5)
    rows: list[Row] = []
    result = Result([this_run(repetitions, quick=given.quick)], rows, versions, unavailable, left_out)
    try:
        with inputs(given.inputs, sizes) as made:
            for workload in (workload for workload in workloads if workload.name not in left_out):
                rows.append(_row(workload, there, made, room, repetitions))
                # Written each time, so that what was measured is there even if the run is killed.
                if given.json:
                    given.json.write_text(json.dumps(to_document(result), indent=1) + "\n")
    except (OSError, subprocess.CalledProcessError) as error:
        _tell(f"failed: {error}")
        return 1
    finally:
        # Also of a run that was interrupted.
        if rows:
            print(as_text(result), end="")
    return 0


def _tried(candidates: Sequence[Candidate]) -> tuple[dict[str, str], dict[str, str]]:
    """Give the versions of those that can be had, and the reasons why the others can't."""
    versions, unavailable = {}, {}
    for candidate in candidates:
        try:
            versions[candidate.name] = candidate.described()
        except (OSError, subprocess.CalledProcessError) as error:
            unavailable[candidate.name] = str(error)
            _tell(f"{candidate.name} isn't measured: {error}")
    return versions, unavailable


def _row(workload: Workload, candidates: Sequence[Candidate], made: Inputs, room: Path, repetitions: int) -> Row:
    outcomes = measure(workload, candidates, made, room, repetitions, _tell)
    found = row(workload.name, workload.group, outcomes)
    figures = (f"{name} {figure.median * 1000:.1f}" for name, figure in found.figures.items())
    _tell(f"{workload.name}, ms: " + ", ".join(figures))
    return found


def _tell(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
