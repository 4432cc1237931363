"""The command line: ``python -m tools.conformance [--pjdfstest DIR] [--unionmount DIR] [--only PATTERN]``, as root."""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

from tools.conformance import pjdfstest, unionmount
from tools.conformance.candidates import OURS, REFERENCE, Candidate
from tools.conformance.outcome import Outcome, held_against
from tools.enclosure import run_enclosed

Run = Callable[[Path], Outcome]


def main(words: Sequence[str] | None = None) -> int:
    """Run the suites, print the counts, and give the exit code: 1 where we fail what overlayfs passes."""
    given = _parser().parse_args(words)
    if os.geteuid() != 0:
        print("conformance: this needs root, to mount overlayfs and to drop caches", file=sys.stderr)
        return 1
    try:
        plan = [(title, runs) for title, runs in _plan(given) if re.search(given.only, title)]
    except (ValueError, re.error) as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2
    if not plan:
        print("conformance: no suite: PJDFSTEST=DIR and UNIONMOUNT=DIR name checkouts of them", file=sys.stderr)
        return 2
    try:
        return run_enclosed("conformance", lambda room: _run(plan, room))
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m tools.conformance", description="Run suites of others; see docs/testing.md."
    )
    made.add_argument("--pjdfstest", metavar="DIR", type=Path, help="a checkout of pjdfstest, compiled")
    made.add_argument("--unionmount", metavar="DIR", type=Path, help="a checkout of unionmount-testsuite")
    made.add_argument("--only", metavar="PATTERN", default="", help="only runs in whose title this is found")
    return made


def _plan(given: argparse.Namespace) -> Iterator[tuple[str, list[Run]]]:
    """Give for each title the runs that are compared; the first is the reference's."""
    if given.pjdfstest:
        pjdfstest.check_built(given.pjdfstest)
        yield "pjdfstest", [_pjdfstest(given.pjdfstest, candidate) for candidate in (REFERENCE, *OURS)]
    if given.unionmount:
        unionmount.check_there(given.unionmount)
        for variant in unionmount.VARIANTS:
            yield (
                f"unionmount-testsuite {variant.title()}",
                [_unionmount(given.unionmount, variant, ours=ours) for ours in (False, True)],
            )


def _pjdfstest(checkout: Path, candidate: Candidate) -> Run:
    return lambda room: pjdfstest.run(checkout, candidate, room)


def _unionmount(checkout: Path, variant: unionmount.Variant, *, ours: bool) -> Run:
    return lambda room: unionmount.run(checkout, variant, room, ours=ours)


def _run(plan: Sequence[tuple[str, list[Run]]], room: Path) -> int:
    """Do each run in a directory of its own, say what came of it, and give the exit code."""
    unionmount.install(room)
    found: list[str] = []
    numbers = count()
    for title, runs in plan:
        print(title, flush=True)
        reference: Outcome | None = None
        for run in runs:
            place = room / str(next(numbers))
            place.mkdir()
            outcome = run(place)
            _show(outcome)
            reference = reference or outcome
            found += [f"{title}, {outcome.candidate}: {name}" for name in held_against(reference, outcome)]
    for what in found:
        print(f"passes on overlayfs and fails here: {what}")
    print(f"{len(found)} in all pass on overlayfs and fail here")
    return 1 if found else 0


def _show(outcome: Outcome) -> None:
    print(outcome.line(), flush=True)
    for line in outcome.mounts:
        print(f"    mount table: {line}")
    for name in outcome.failed:
        print(f"    failed: {name}")


if __name__ == "__main__":
    sys.exit(main())
