"""A place that nothing of a run outlives: own mounts, own processes, and a directory that is removed at the end.

The work runs as the first process of a process namespace, so when it ends, of whatever cause, the kernel ends every
daemon that it started; its mounts lie in a mount namespace that ends with them. The process outside only waits.
"""

import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from tools import system


def run_enclosed(name: str, work: Callable[[Path], int]) -> int:
    """Run *work*, whose *name* is that of the program, in an empty tmpfs of its own, and give its exit code.

    Raises:
        OSError: this process may not make namespaces.
    """
    room = Path(tempfile.mkdtemp(prefix=f"unionfs-{name}."))
    try:
        system.unshare(system.CLONE_NEWPID)
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os._exit(_inside(name, work, room))
        return _wait(child)
    finally:
        shutil.rmtree(room)


def _wait(child: int) -> int:
    def pass_on(number: int, _frame: FrameType | None) -> None:
        os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    # A terminal sends SIGINT to both processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _inside(name: str, work: Callable[[Path], int], room: Path) -> int:
    """Give the exit code; no exception may leave, since the caller's cleaning up is the outer process's."""
    try:
        system.die_with_parent(signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        system.unshare(system.CLONE_NEWNS)
        system.mount("none", "/", "none", system.MS_REC | system.MS_PRIVATE)
        system.mount("proc", "/proc", "proc")
        system.mount(f"unionfs-{name}", str(room), "tmpfs", options="size=80%,mode=755")
        code = work(room)
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        code = 130
    except BaseException:  # noqa: BLE001 - this process's last frame: what comes here is shown, then it ends
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    return code


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
