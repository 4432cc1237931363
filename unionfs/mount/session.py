"""One mount from its options to its end: the mountpoint, the stack, the connection, the daemon."""

import contextlib
import os
import select
import threading
from collections.abc import Callable
from typing import NamedTuple, Protocol

from unionfs.mount import table
from unionfs.mount.allocator import collect_rarely, use_returning_allocator
from unionfs.mount.attach import attach
from unionfs.mount.daemon import run_detached
from unionfs.mount.errors import MountError
from unionfs.mount.hardening import harden, raise_descriptor_limit
from unionfs.mount.logs import start_logging
from unionfs.mount.mountpoint import Mountpoint, open_mountpoint
from unionfs.mount.namespace import leave_made_namespace
from unionfs.mount.options import MountOptions
from unionfs.mount.shutdown import Shutdown, hold_signals_back
from unionfs.mount.table import Mount


class ProcessOptions(NamedTuple):
    """How the program itself is to run."""

    foreground: bool = False
    log_file: bytes | None = None
    """Relative to where the program was started; None: syslog, or stderr in the foreground."""
    debug: bool = False


class Stack(Protocol):
    """The opened layers with what answers for them on a connection."""

    def serve(self, device_fd: int, ready: Callable[[], None]) -> None:
        """Answer until the mount has ended, then close *device_fd*; call *ready* once the mount answers."""

    def statistics(self) -> str:
        """Give one line for the log; called on another thread than ``serve``."""

    def close(self) -> None:
        """Let go of the layers, after which the upper can be mounted again."""


OpenStack = Callable[[MountOptions], Stack]


def run(mountpoint: bytes, options: MountOptions, process: ProcessOptions, open_stack: OpenStack) -> int:
    """Mount *options* on *mountpoint* and serve it, in a child unless in the foreground; give the exit code.

    *open_stack* is called in the process that serves, before anything is mounted.

    Raises:
        MountError: the mountpoint is missing or in use, or mounting isn't allowed.
        OSError: a layer can't be opened.
    """
    place = open_mountpoint(mountpoint)
    _refuse_own_directories(place, options)

    def serve(ready: Callable[[], None]) -> int:
        use_returning_allocator()
        collect_rarely()
        start_logging(file=process.log_file, foreground=process.foreground, debug=process.debug)
        raise_descriptor_limit()
        with contextlib.closing(open_stack(options)) as stack:
            _mount_and_serve(place, options, stack, ready)
        return 0

    return serve(lambda: None) if process.foreground else run_detached(serve)


def _refuse_own_directories(place: Mountpoint, options: MountOptions) -> None:
    for name, path in (("upperdir", options.upper), ("workdir", options.work)):
        with contextlib.suppress(OSError):  # one that can't be looked at is reported when it is opened
            if path is not None and os.path.samestat(os.stat(path), os.fstat(place.fd)):
                raise MountError(f"the mountpoint {os.fsdecode(place.path)} is the {name} itself")


def _mount_and_serve(place: Mountpoint, options: MountOptions, stack: Stack, ready: Callable[[], None]) -> None:
    hold_signals_back()
    attachment = attach(place.path, place.fd, options)
    os.close(place.fd)
    mount = table.mount_at(place.path, table.read_table())
    reachable = not (attachment.by_itself and leave_made_namespace())
    mounted = _Mounted(attachment.device_fd, mount, reachable=reachable)
    try:
        harden(mounted_by_itself=attachment.by_itself)
        # After hardening, which concerns the thread that does it and those that it starts.
        Shutdown(mounted.detach, stack.statistics).install()
        stack.serve(attachment.device_fd, ready)
    finally:
        mounted.end()


class _Mounted:
    """The mount of one connection, which is never taken for another that came to its place.

    Numbers of mounts and devices are used again, but not while the connection lives.
    """

    def __init__(self, device_fd: int, mount: Mount | None, *, reachable: bool) -> None:
        self._connection: int | None = os.dup(device_fd)
        # A signal detaches on a thread of its own, while this mount may be ending by itself.
        self._asking = threading.Lock()
        self._mount = mount
        self._reachable = reachable

    def detach(self) -> None:
        """Let the mount disappear, unless somebody has ended it; it is served until its last user is gone.

        Raises:
            MountError: it is in a mount namespace that this process has left.
        """
        if not self._reachable:
            raise MountError("it can be unmounted only in its own mount namespace; a second signal ends the daemon")
        if self._connected():
            self._unmount()

    def end(self) -> None:
        """Close the connection, so that nobody waits for an answer any more, and then end the mount."""
        connected = self._connected(close=True)
        if connected and self._reachable:
            self._unmount()

    def _connected(self, *, close: bool = False) -> bool:
        """Tell whether the connection was there, and with *close* close it; a closed one's number may be another's."""
        with self._asking:
            if self._connection is None:
                return False
            poll = select.poll()
            poll.register(self._connection, 0)
            connected = not poll.poll(0)
            if close:
                os.close(self._connection)
                self._connection = None
            return connected

    def _unmount(self) -> None:
        if self._mount is None:
            return
        now = table.mount_at(self._mount.mountpoint, table.read_table())
        if now is not None and now.device == self._mount.device:
            table.unmount(now.mountpoint, lazy=True)
