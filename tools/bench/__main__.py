"""The command line: ``python -m tools.bench [options]``, as root."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from tools.bench import arguments
from tools.bench.arm import Arm
from tools.bench.candidates import Candidate, all_candidates
from tools.bench.figures import row
from tools.bench.inputs import Inputs, inputs
from tools.bench.measure import measure
from tools.bench.programs import Program, ProgramArm, ProgramWorkload
from tools.bench.report import as_text
from tools.bench.result import Result, Row, this_run, to_document
from tools.bench.sizes import FULL, QUICK
from tools.bench.workload import Mounted, Workload
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


def _run(
    given: argparse.Namespace,
    workloads: Sequence[Workload | ProgramWorkload],
    candidates: Sequence[Candidate],
    room: Path,
) -> int:
    sizes = QUICK if given.quick else FULL
    by_mounts = [workload for workload in workloads if isinstance(workload, Workload)]
    by_programs = [workload for workload in workloads if isinstance(workload, ProgramWorkload)]
    versions, unavailable = _tried(candidates if by_mounts else [])
    programs, lacking = _tried([program for workload in by_programs for program in workload.programs])
    there = [candidate for candidate in candidates if candidate.name in versions]
    left_out = {w.name: "runs programs of a Debian system" for w in by_mounts if w.needs_debian and not sizes.debian}
    repetitions = given.repetitions or (1 if given.quick else 5)
    rows: list[Row] = []
    run = this_run(repetitions, quick=given.quick)
    result = Result([run], rows, versions, unavailable | lacking, left_out, programs)
    try:
        with inputs(given.inputs, sizes) as made:
            for workload in (workload for workload in workloads if workload.name not in left_out):
                if isinstance(workload, Workload):
                    rows.append(_row(workload, there, made, room, repetitions))
                else:
                    rows.append(_row_of_programs(workload, programs, made, room, repetitions))
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


def _tried(candidates: Sequence[Candidate | Program]) -> tuple[dict[str, str], dict[str, str]]:
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
    arms = [Arm(candidate, workload, made, room / str(number)) for number, candidate in enumerate(candidates)]
    # What is cold each time has nothing to warm up.
    warm_up = workload.mounted is not Mounted.COLD
    outcomes = measure(arms, made.sizes, repetitions, _tell, warm_up=warm_up)
    return _told(row(workload.name, workload.group, outcomes))


def _row_of_programs(
    workload: ProgramWorkload, available: Collection[str], made: Inputs, room: Path, repetitions: int
) -> Row:
    programs = [program for program in workload.programs if program.name in available]
    arms = [ProgramArm(program, workload, made, room / str(number)) for number, program in enumerate(programs)]
    outcomes = measure(arms, made.sizes, repetitions, _tell, warm_up=True)
    return _told(row(workload.name, workload.group, outcomes, workload.programs[0].name))


def _told(found: Row) -> Row:
    figures = (f"{name} {figure.median * 1000:.1f}" for name, figure in found.figures.items())
    _tell(f"{found.workload}, ms: " + ", ".join(figures))
    return found


def _tell(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
