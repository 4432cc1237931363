"""Starting a child as root of a user namespace of its own, in which the caller's ids are mapped.

An ordinary user owns what was made there as another id only from within: so it is removed, read and packed there too.
"""

import os
import signal
from collections.abc import Callable

from unionfs.linux.namespaces import CLONE_NEWUSER, unshare
from unionfs.shell import id_maps
from unionfs.shell.children import start_child
from unionfs.shell.error import EXIT_FAILURE
from unionfs.shell.id_maps import IdMaps
from unionfs.shell.report import Report


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
