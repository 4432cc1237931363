"""One changed file, committed: in a small image, in a large one, and in one of a single large directory."""

import tarfile
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path

from tools.bench.candidates import UNIONFS
from tools.bench.commands import CLEAN_ENVIRONMENT, run
from tools.bench.inputs import Inputs
from tools.bench.programs import Command, Program, ProgramWorkload
from tools.bench.workload import Group

_FEW = 100
_IN_DIRECTORY = 100
_CHANGED = "d0/0"


def _committed(names: Callable[[Inputs], Iterable[str]]) -> Callable[[Inputs, Path], Iterator[Command]]:
    """Give what commits an upper with one change over an image of these files; the image is made before."""

    def commands(inputs: Inputs, room: Path) -> Iterator[Command]:
        root, archive, mountpoint = (room / name for name in ("store", "root.tar", "merged"))
        _write(archive, names(inputs))
        mountpoint.mkdir()
        store = (UNIONFS, "--root", root)
        for command in (
            (*store, "import", archive, "image"),
            (*store, "mount", "--rw=upper", "image", mountpoint),
            ("sh", "-c", 'echo changed >"$1"', "sh", mountpoint / _CHANGED),
            (*store, "umount", mountpoint),
        ):
            run(*command, env=CLEAN_ENVIRONMENT)
        yield (*store, "commit", "upper", "changed")

    return commands


def _write(archive: Path, names: Iterable[str]) -> None:
    with tarfile.open(archive, "w") as members:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            members.addfile(member, BytesIO(name.encode()))


def _spread(count: int) -> Iterator[str]:
    return (f"d{number // _IN_DIRECTORY}/{number % _IN_DIRECTORY}" for number in range(count))


WORKLOADS = (
    ProgramWorkload(
        name="commit one changed file",
        group=Group.COMMITTING,
        programs=(
            Program("a few files", (UNIONFS, "--version"), _committed(lambda _: _spread(_FEW))),
            Program("many files", (UNIONFS, "--version"), _committed(lambda inputs: _spread(inputs.sizes.names))),
            Program(
                "many files in one directory",
                (UNIONFS, "--version"),
                _committed(lambda inputs: (f"d0/{number}" for number in range(inputs.sizes.names))),
            ),
        ),
    ),
)
