"""Running a command in a root of its own: what the caller's process does.

It starts the supervisor, gives it its ids, tells what goes wrong, passes signals on, and connects the terminals. A user
namespace is made only where the right to mount is missing, so not for root.
"""

import contextlib
import os
import select
import signal
from collections.abc import Callable, Iterable, Iterator

from unionfs.linux.process import has_capability
from unionfs.mount.options import MountOptions
from unionfs.shell import id_maps
from unionfs.shell.children import HELD_BACK, start_child, wait_forwarding
from unionfs.shell.error import ShellError
from unionfs.shell.id_maps import IdMaps
from unionfs.shell.mapped import start_mapped
from unionfs.shell.report import Report, failures
from unionfs.shell.setup import Setup
from unionfs.shell.supervisor import Supervisor
from unionfs.shell.terminal import Channel, copy_size, is_wanted

_LOOK_FOR_SIGNALS = 50
"""Milliseconds between two looks, while the command isn't running yet."""


def needed_maps() -> IdMaps | None:
    """Give the ids of the user namespace that this process needs to mount, or None where it needs none.

    Raises:
        OSError: a file that grants ids can't be read.
    """
    return None if has_capability("sys_admin") else id_maps.of_caller()


def run(root: MountOptions, setup: Setup, maps: IdMaps | None, warn: Callable[[str], None]) -> int:
    """Run the command of *setup* in *root*, whose paths are absolute, and give its exit code, as docker-run(1) does.

    *maps* is what ``needed_maps`` gives. Returns when the command, all that it started and the mount have ended.

    Raises:
        ShellError: the command wasn't run; its ``code`` says what for.
        OSError: the kernel refused a process or a pipe.
    """
    if not root.lowers:
        raise ShellError("the image has no layers, so there is nothing in it to run")
    with _children_told_of(), _signals_held_back() as mask, contextlib.ExitStack() as held:
        channel = held.enter_context(contextlib.closing(Channel())) if is_wanted() else None
        reading, writing = os.pipe()
        report = Report(writing)
        supervisor = Supervisor(root, setup, tuple(mask), report, None if channel is None else channel.sending_fd)
        try:
            child = _start(supervisor, maps, report)
        finally:
            report.close()
        failure = _wait_for_start(child, reading, mask, warn)
        other_end = None if channel is None or failure else held.enter_context(channel.connected())
        code = wait_forwarding(child, resized=lambda: None if other_end is None else copy_size(0, other_end))
        if failure is not None:
            raise failure
        return code


@contextlib.contextmanager
def _signals_held_back() -> Iterator[set[int]]:
    """Block the signals that are waited for, and give those that were blocked before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        yield set(before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(supervisor: Supervisor, maps: IdMaps | None, report: Report) -> int:
    parent = os.getpid()
    if maps is None:
        return start_child(lambda: supervisor.run(parent), report)
    return start_mapped(maps, lambda: supervisor.run(parent), report)


def _wait_for_start(child: int, reading: int, mask: set[int], warn: Callable[[str], None]) -> ShellError | None:
    """Wait until the command runs, and give why where it doesn't.

    Until then a signal means to this process what it always does: what it raises ends the child.
    """
    poll = select.poll()
    poll.register(reading, select.POLLIN)

    def wait() -> None:
        # A signal that comes when the command runs is for the command: so none is let through before that is known.
        while not poll.poll(_LOOK_FOR_SIGNALS):
            if signal.sigpending() & HELD_BACK - {signal.SIGCHLD, signal.SIGWINCH}:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)

    try:
        return _first_failure(failures(reading, wait), warn)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise


def _first_failure(told: Iterable[ShellError | str], warn: Callable[[str], None]) -> ShellError | None:
    found = None
    for failure in told:
        if isinstance(failure, str):
            warn(failure)
        else:
            found = found or failure
    return found


@contextlib.contextmanager
def _children_told_of() -> Iterator[None]:
    """Have the ends of children told, which a caller may have chosen to ignore for all that it starts."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before)
