"""The process between the caller and the command: it mounts the root in a mount namespace that nobody else sees.

Its children are the daemon that serves the mount and process 1 of a new pid namespace. Process 1 has the only mount of
the root that is attached anywhere, so when it ends, the mount does, and with it the daemon.
"""

import os
import signal
from collections.abc import Callable

from unionfs.fuse import DataPath, Transport
from unionfs.linux import mounts
from unionfs.linux.mounts import make_slave, umount2
from unionfs.linux.namespaces import CLONE_NEWIPC, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS, unshare
from unionfs.linux.process import set_parent_death_signal
from unionfs.mount import session
from unionfs.mount.options import MountOptions
from unionfs.mount.session import ProcessOptions, Stack
from unionfs.mount.stack import UnionStack
from unionfs.shell import init, interpreter
from unionfs.shell.children import start_child, wait_for_all, wait_forwarding
from unionfs.shell.error import EXIT_FAILURE, ShellError
from unionfs.shell.report import Report
from unionfs.shell.setup import Setup, Spec

_DAEMON_PATIENCE = 60.0
"""Seconds that the daemon has to end in, which syncs an upper that stays; more only where somebody else, who has come
into the root from outside, goes on using the mount: it then dies with the daemon."""


class Supervisor:
    """One run, in the process that is to supervise it: single-threaded, with the right to mount."""

    def __init__(
        self, root: MountOptions, setup: Setup, signal_mask: tuple[int, ...], report: Report, channel_fd: int | None
    ) -> None:
        self._root = root
        self._setup = setup
        self._signal_mask = signal_mask
        self._report = report
        self._channel_fd = channel_fd
        self._mountpoint = root.lowers[0]
        """Any directory will do, since nobody else looks there; this one is sure to be there."""

    def run(self, parent: int) -> int:
        """Run the command to its end and give its exit code; *parent* is who is waiting for that.

        Raises:
            ShellError, MountError, OSError: it can't be run.
        """
        # What the terminal sends to the caller's process group reaches the command through the caller alone.
        os.setsid()
        unshare(CLONE_NEWNS)
        make_slave(b"/")
        _die_with(parent)
        code = self._serve()
        if code is not None:
            return code
        root_fd = self._take_root()
        unshare(CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC)
        alive_fd = os.pidfd_open(os.getpid())
        spec = Spec(
            self._setup,
            root_fd=root_fd,
            mountpoint=os.fsdecode(self._mountpoint),
            report_fd=self._report.fd,
            alive_fd=alive_fd,
            channel_fd=self._channel_fd,
            signal_mask=self._signal_mask,
        )
        child = start_child(lambda: _become_init(spec), self._report)
        for fd in spec.descriptors:
            os.close(fd)
        code = wait_forwarding(child)
        wait_for_all(_DAEMON_PATIENCE)
        return code

    def _serve(self) -> int | None:
        """Mount, and go on when the mount answers; give an exit code in the daemon, and where it has failed."""
        supervisor = os.getpid()
        code = session.run(self._mountpoint, self._root, ProcessOptions(), self._open_stack)
        return code if code or os.getpid() != supervisor else None

    def _open_stack(self, options: MountOptions) -> Stack:
        set_parent_death_signal(signal.SIGKILL)
        data_path = DataPath(writeback=None, passthrough=None)
        return _Reporting(UnionStack(options, Transport.AUTO, data_path), self._report)

    def _take_root(self) -> int:
        """Take the mount out of this namespace, and give it unattached."""
        place = os.open(self._mountpoint, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            tree = mounts.clone_tree(place)
        finally:
            os.close(place)
        umount2(self._mountpoint, mounts.MNT_DETACH | mounts.UMOUNT_NOFOLLOW)
        return tree


class _Reporting:
    """The stack of the daemon, which has nothing to report once it serves."""

    def __init__(self, stack: UnionStack, report: Report) -> None:
        self._stack = stack
        self._report = report
        self.statistics = stack.statistics
        self.close = stack.close

    def serve(self, device_fd: int, ready: Callable[[], None]) -> None:
        """Serve, and let go of the report when the mount answers."""

        def serving() -> None:
            self._report.close()
            ready()

        self._stack.serve(device_fd, serving)


def _die_with(parent: int) -> None:
    set_parent_death_signal(signal.SIGKILL)
    if os.getppid() != parent:
        raise ShellError("whoever started this is gone", EXIT_FAILURE)


def _become_init(spec: Spec) -> int:
    """Go on as process 1, in mounts of its own."""
    set_parent_death_signal(signal.SIGKILL)
    unshare(CLONE_NEWNS)
    mounts.make_private(b"/")
    if interpreter.can_be_changed():
        interpreter.start_again(spec)
    return init.run(spec)
