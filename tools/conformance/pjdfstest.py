"""pjdfstest: what POSIX says of each system call on files. It runs in a directory of a mount that is made for it here.

The directory is one of a lower, so that most of what the suite does has a layer beneath, and while it runs the kernel
is made to forget names and inodes all the time: a daemon that then forgets what it needs is found out.
"""

import re
import subprocess
from pathlib import Path

from tools.conformance.candidates import Candidate
from tools.conformance.mount_table import Watch
from tools.conformance.outcome import Outcome
from tools.system import forgetting_inodes
from unionfs.linux.mounts import umount2

_PLAN = re.compile(r"^1\.\.(\d+)")
_CHECK = re.compile(r"^(not )?ok (\d+)(.*)")


def check_built(checkout: Path) -> None:
    """Tell whether the suite can be run.

    Raises:
        ValueError: it isn't one, or its program wasn't compiled.
    """
    if not (checkout / "tests" / "misc.sh").is_file():
        raise ValueError(f"{checkout} isn't a checkout of pjdfstest")
    if not (checkout / "pjdfstest").is_file():
        raise ValueError(f"{checkout} isn't compiled: autoreconf -ifs && ./configure && make pjdfstest")


def run(checkout: Path, candidate: Candidate, room: Path) -> Outcome:
    """Run the whole suite on a new mount of *candidate* in the empty directory *room*.

    Raises:
        OSError, CalledProcessError: mounting failed.
    """
    options, merged = _layers(room)
    candidate.mount(options, merged)
    try:
        with Watch(merged) as watch, forgetting_inodes():
            passed, failed = _run_files(checkout.resolve() / "tests", merged / "lowdir")
    finally:
        umount2(bytes(merged))
    if watch.kinds != {candidate.kind}:
        failed.append(f"the mount was one of {', '.join(sorted(watch.kinds))}")
    return Outcome(candidate.name, passed, failed, watch.lines)


def _layers(room: Path) -> tuple[str, Path]:
    for name in ("base/lowdir/deep", "top", "upper", "work", "merged"):
        (room / name).mkdir(parents=True)
    return f"lowerdir={room}/top:{room}/base,upperdir={room}/upper,workdir={room}/work", room / "merged"


def _run_files(tests: Path, directory: Path) -> tuple[int, list[str]]:
    passed, failed = 0, []
    for file in sorted(tests.rglob("*.t")):
        said = subprocess.run(
            ["sh", str(file)], cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        ).stdout.decode(errors="replace")
        good, bad = read_protocol(said)
        passed += good
        failed += [f"{file.relative_to(tests)} {what}" for what in bad]
    return passed, failed


def read_protocol(said: str) -> tuple[int, list[str]]:
    """Give from what a test has said (Test Anything Protocol) how many checks passed, and what of the others it said.

    A check that is expected to fail (TODO) counts as passed; one that was planned and isn't there as failed.
    """
    planned, passed, failed = None, 0, []
    for line in said.splitlines():
        if plan := _PLAN.match(line):
            planned = int(plan[1])
        elif check := _CHECK.match(line):
            if check[1] and "# TODO" not in check[3]:
                failed.append(check[2] + check[3])
            else:
                passed += 1
    missing = 1 if planned is None else planned - passed - len(failed)
    return passed, failed + ["ended early"] * missing
