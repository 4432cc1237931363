"""Process 1 of the pid namespace: it makes the root what the command expects, starts it, and waits.

Every process without a parent becomes its child and is waited for; when the command ends, all others are killed.
"""

import contextlib
import os
import select
import signal
import sys

from unionfs.linux.namespaces import set_host_name
from unionfs.linux.process import set_dumpable
from unionfs.shell.children import HELD_BACK, start_child, wait_for_all, wait_forwarding
from unionfs.shell.command import Becoming
from unionfs.shell.report import Report
from unionfs.shell.root import Root
from unionfs.shell.setup import Spec, read_spec
from unionfs.shell.terminal import send_new

_PATIENCE = 10.0
"""Seconds for killed processes to end in; one in the middle of a system call may take a moment."""


def start(spec_fd: int) -> None:
    """Go on as a process that was started anew, whose spec is in the file *spec_fd*."""
    spec = read_spec(spec_fd)
    code = 1
    try:
        code = run(spec)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is told to who waits for it
        code = Report(spec.report_fd).fail(error)
    finally:
        sys.stdout = sys.stderr = None
        os._exit(code)


def run(spec: Spec) -> int:
    """Make the root, run the command in it, and give its exit code.

    Raises:
        ShellError, OSError: the root or the command can't be had.
    """
    # Whoever may trace this process, or read what it has open, would be outside of the root.
    set_dumpable(False)
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    _keep_only(*spec.descriptors)
    if _is_gone(spec.alive_fd):
        return 1
    os.umask(0o022)
    _import_nothing_more()
    report = Report(spec.report_fd)
    may_set_groups = _may_set_groups()
    root = Root(spec.setup, report)
    try:
        root.enter(spec.root_fd, spec.mountpoint)
        set_host_name(os.fsencode(spec.setup.host_name))
        terminal = None if spec.channel_fd is None else send_new(spec.channel_fd)
        becoming = Becoming(spec.setup.process, spec.signal_mask, terminal, may_set_groups=may_set_groups)
        child = start_child(becoming.run, report)
        if terminal is not None:
            os.close(terminal)  # or the other end would never be told that nobody has it open any more
        report.close()
        code = wait_forwarding(child, reap_others=True)
    finally:
        _end_all()
        root.tidy()
    return code


def _keep_only(*kept: int) -> None:
    """Close all others but the standard ones, since one of the host's would lead out of the root."""
    for fd in {int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2, *kept}:
        with contextlib.suppress(OSError):  # that of the listing is closed by now
            os.close(fd)
    for fd in kept:
        os.set_inheritable(fd, False)  # noqa: FBT003 - os takes it by position only


def _import_nothing_more() -> None:
    """Find no other module from here on: in the root, the paths of modules lead to files of the image."""
    sys.meta_path.clear()
    sys.path.clear()


def _may_set_groups() -> bool:
    with open("/proc/self/setgroups", encoding="utf-8") as file:
        return file.read() == "allow\n"


def _is_gone(pidfd: int) -> bool:
    """Tell whether the process behind *pidfd* has ended: then nobody would end this one."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _end_all() -> None:
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        return
    wait_for_all(_PATIENCE)
