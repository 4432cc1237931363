"""A function run as root of a user namespace of its own, in which the caller's ids are mapped.

An ordinary user owns what was made there as another id only from within: so it is removed, read and packed there too.
"""

import os
import signal
from collections.abc import Callable

from unionfs.linux.namespaces import CLONE_NEWUSER, unshare
from unionfs.shell import id_maps
from unionfs.shell.children import start_child
from unionfs.shell.error import EXIT_FAILURE, ShellError
from unionfs.shell.id_maps import IdMaps
from unionfs.shell.report import Report, failures


def start_mapped(maps: IdMaps, body: Callable[[], int], report: Report) -> int:
    """Run *body* in a child that is root of a new user namespace with *maps*; give the child's id.

    Raises:
        ShellError, OSError: the ids can't be mapped; then the child is gone.
    """
    made, making = os.pipe()
    given, giving = os.pipe()

    def enter() -> int:
        os.close(made)
        os.close(giving)
        unshare(CLONE_NEWUSER)
        os.write(making, b"!")
        os.close(making)
        if not os.read(given, 1):
            return EXIT_FAILURE  # the parent has told why, or is gone
        os.close(given)
        return body()

    child = start_child(enter, report)
    os.close(making)
    os.close(given)
    try:
        if os.read(made, 1):
            id_maps.write(child, maps)
            os.write(giving, b"!")
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    finally:
        os.close(made)
        os.close(giving)
    return child


def run_mapped(maps: IdMaps, body: Callable[[], None]) -> None:
    """Call *body* in a child that is root of a user namespace with *maps*, and wait for its end.

    Raises:
        ShellError: it failed; the text is that of the error.
    """
    reading, writing = os.pipe()

    def call() -> int:
        body()
        return 0

    try:
        child = start_mapped(maps, call, Report(writing))
    finally:
        os.close(writing)
    told = list(failures(reading))
    _, status = os.waitpid(child, 0)
    for failure in told:
        if isinstance(failure, ShellError):
            raise failure
    if status:
        raise ShellError(f"the process that was to do it ended with {os.waitstatus_to_exitcode(status)}")
