"""The command line's options, and which candidates and workloads they choose."""

import argparse
import re
from pathlib import Path

from tools.bench.candidates import BASELINE, Candidate
from tools.bench.programs import ProgramWorkload
from tools.bench.workload import Workload
from tools.bench.workloads import ALL

_INPUTS = Path("/var/tmp/unionfs-bench")  # noqa: S108 - kept between runs; made 0700, and used by root alone


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m tools.bench", description="Compare mounts; see docs/performance.md.")
    made.add_argument("--only", metavar="PATTERN", help="only workloads in whose name this regular expression is found")
    made.add_argument("--candidates", metavar="NAMES", help=f"only these, separated by commas, and {BASELINE}")
    made.add_argument(
        "--variant",
        metavar="NAME:ARGUMENTS",
        action="append",
        default=[],
        help="a further candidate: 'unionfs mount' with these arguments; may be repeated",
    )
    made.add_argument("--repetitions", metavar="N", type=_positive, help="after one to warm up (default 5, quick 1)")
    made.add_argument("--quick", action="store_true", help="small layers and workloads: shows that all works")
    made.add_argument(
        "--inputs",
        metavar="DIR",
        type=Path,
        default=_INPUTS,
        help="where the layers are kept from run to run, on a disk (default: %(default)s)",
    )
    made.add_argument("--json", metavar="FILE", type=Path, help="write all figures")
    made.add_argument("--list", action="store_true", help="list the workloads")
    return made


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number from 1 on")
    return int(text)


def chosen_workloads(pattern: str | None) -> list[Workload | ProgramWorkload]:
    """Give the workloads in whose name the expression *pattern* is found.

    Raises:
        ValueError: there is none, or the expression is wrong.
    """
    try:
        chosen = [workload for workload in ALL if re.search(pattern or "", workload.name)]
    except re.error as error:
        raise ValueError(f"--only: {error}") from error
    if not chosen:
        raise ValueError(f"no workload is called anything like {pattern!r}; --list lists them")
    return chosen


def chosen_candidates(candidates: list[Candidate], names: str | None) -> list[Candidate]:
    """Give those of *candidates* that *names* names, and the baseline.

    Raises:
        ValueError: a name that no candidate has.
    """
    if names is None:
        return candidates
    wanted = {BASELINE, *names.split(",")}
    unknown = wanted - {candidate.name for candidate in candidates}
    if unknown:
        raise ValueError(f"no candidate is called {min(unknown)!r}; there are {', '.join(c.name for c in candidates)}")
    return [candidate for candidate in candidates if candidate.name in wanted]
