"""Reading the image, in every state: warm and cold, read-only and writable mount."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from tools.bench.commands import run
from tools.bench.workload import Group, Mounted, Place, Workload, nothing

READERS = 4


@dataclass(frozen=True)
class _Task:
    name: str
    run: Callable[[Place], None]
    prepare: Callable[[Place], None] = nothing
    cold: bool = True
    needs_debian: bool = False


def _walk(place: Place) -> None:
    directories = [str(place.merged)]
    while directories:
        with os.scandir(directories.pop()) as entries:
            for entry in entries:
                entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.path)


def _find(place: Place) -> None:
    run("find", place.merged, "-ls")


def _tar(place: Place) -> None:
    run("tar", "-C", place.merged, "-cf", "-", ".")


def _grep(place: Place) -> None:
    # Nothing matches, so that every file is read to its end.
    run("grep", "-rF", "--devices=skip", "no file of any image says this", place.merged, accepted=(1,))


def _read_in_parallel(place: Place) -> None:
    children = []
    for reader in range(READERS):
        child = os.fork()
        if child == 0:
            os._exit(_read_share(place, reader))
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(codes):
        raise OSError("a reader failed")


def _read_share(place: Place, reader: int) -> int:
    """Read every fourth file, and give the exit code of the process that did."""
    buffer = bytearray(1 << 17)
    try:
        for path in place.inputs.files[reader::READERS]:
            with open(place.merged / path, "rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass
    except OSError:
        return 1
    return 0


def _list_files(place: Place) -> None:
    """Have the list of files made, which stays, before the time is taken."""
    assert place.inputs.files


def _import(place: Place) -> None:
    run("chroot", place.merged, "/usr/bin/python3", "-B", "-c", "import sympy, numpy")


_HEADERS = ("stdio", "stdlib", "string", "unistd", "errno", "fcntl", "pthread", "signal", "time", "math", "locale")
_SOURCE = "".join(f"#include <{header}.h>\n" for header in (*_HEADERS, "wchar", "netdb", "sys/stat", "sys/socket"))
_SOURCE += 'int main(void) { return printf("%d\\n", errno); }\n'


def _preprocess(place: Place) -> None:
    _gcc(place, "-E")


def _compile(place: Place) -> None:
    _gcc(place, "-O2", "-S")


def _gcc(place: Place, *arguments: str) -> None:
    compiler = ("/usr/bin/gcc", "-pipe", *arguments, "-x", "c", "-o", "-", "-")
    run("chroot", place.merged, *compiler, stdin=_SOURCE.encode())


_TASKS = (
    _Task("walk with stat", _walk),
    _Task("find -ls", _find),
    _Task("tar", _tar),
    _Task("grep -r", _grep),
    _Task(f"{READERS} parallel readers", _read_in_parallel, _list_files),
    _Task("python import", _import, needs_debian=True),
    _Task("gcc -E", _preprocess, cold=False, needs_debian=True),
    _Task("gcc -S", _compile, cold=False, needs_debian=True),
)


def _workload(task: _Task, *, writable: bool, cold: bool) -> Workload:
    warm_group = Group.WRITABLE if writable else Group.READ_ONLY
    return Workload(
        name=f"{task.name}, {'cold' if cold else 'warm'}, {'writable' if writable else 'read-only'}",
        group=Group.COLD if cold else warm_group,
        run=task.run,
        prepare=task.prepare,
        mounted=Mounted.COLD if cold else Mounted.ONCE,
        writable=writable,
        needs_debian=task.needs_debian,
    )


_STATES = (False, True)
WARM = tuple(_workload(task, writable=writable, cold=False) for writable in _STATES for task in _TASKS)
COLD = tuple(_workload(task, writable=writable, cold=True) for writable in _STATES for task in _TASKS if task.cold)
