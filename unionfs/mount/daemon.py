"""Becoming a daemon: the caller's process ends with 0 only when the mount serves.

The child keeps the caller's stderr until it is ready, so it reports its own failure; the parent only passes
on its exit code. From then on it holds nothing of the caller, who waits for the end of its output.
"""

import fcntl
import logging
import os
import sys
from collections.abc import Callable, Sequence

from unionfs.mount.errors import MountError

FIRST_DESCRIPTOR_AFTER_STDERR = 3
_READY = b"\n"

Serve = Callable[[Callable[[], None]], int]
"""Serves until unmounted, calling its argument once when the mount answers; gives the exit code."""


def run_detached(serve: Serve) -> int:
    """Run *serve* in a child, and give the exit code for this process: the parent, and also the child.

    Raises:
        MountError: in the parent, when the child was killed before it was ready.
        Exception: in the child, whatever *serve* raised before it was ready.
    """
    inherited = _inherited_descriptors()
    _flush_output()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child:
        os.close(write_end)
        return _wait_until_ready(child, read_end)
    os.close(read_end)
    return _serve_in_child(serve, write_end, inherited)


def _serve_in_child(serve: Serve, write_end: int, inherited: Sequence[int]) -> int:
    is_ready = False

    def ready() -> None:
        nonlocal is_ready
        _release_caller(inherited)
        is_ready = True
        os.write(write_end, _READY)  # EPIPE: the caller was killed and has taken the mount for failed
        os.close(write_end)

    try:
        return serve(ready)
    except Exception:
        if not is_ready:
            raise
        logging.getLogger(__name__).exception("the daemon ends")
        return 1


def _release_caller(inherited: Sequence[int]) -> None:
    os.setsid()
    os.chdir("/")
    _flush_output()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)
    for descriptor in inherited:
        os.close(descriptor)


def _inherited_descriptors() -> list[int]:
    """Give what the caller left open beside 0, 1 and 2: it came through exec, so it isn't close-on-exec."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor < FIRST_DESCRIPTOR_AFTER_STDERR:
            continue
        try:
            if not fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC:
                found.append(descriptor)
        except OSError:
            continue  # the descriptor of the listing itself, closed by now
    return found


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _wait_until_ready(child: int, read_end: int) -> int:
    with os.fdopen(read_end, "rb") as pipe:
        if pipe.read(1) == _READY:
            return 0
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        raise MountError(f"the daemon was killed by signal {-code} before the mount was ready")
    if code == 0:
        raise MountError("the daemon ended before the mount was ready")
    return code
