"""The terminal of a command: one of its own, whose other end is connected with the caller's.

So what the command does with its terminal reaches the caller's only as text: it is in no session and no process group
with programs of the caller, and can't put words into their input (TIOCSTI). Where input or output is no terminal the
command gets them as they are, and no terminal.
"""

import contextlib
import fcntl
import os
import select
import socket
import struct
import termios
import threading
import tty
from collections.abc import Iterator

_PIECE = 4096
_SIZE = bytes(8)
_STANDARD = (0, 1, 2)
_DRAINING = 2.0
"""Seconds for what the command wrote last to be shown."""


def is_wanted() -> bool:
    """Tell whether a person types and reads: standard input and output are terminals."""
    return os.isatty(0) and os.isatty(1)


def send_new(channel_fd: int) -> int:
    """Make a terminal like that on standard input, send its other end through *channel_fd*, and give it.

    Raises:
        OSError: there is no /dev/pts, or no terminal is left.
    """
    master, slave = os.openpty()
    copy_size(0, slave)
    termios.tcsetattr(slave, termios.TCSANOW, termios.tcgetattr(0))
    with socket.socket(fileno=os.dup(channel_fd)) as channel:
        # As socket.send_fds does, which imports a module at that moment; here it could be one of the image.
        channel.sendmsg([b"!"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", master))])
    os.close(master)
    return slave


def take(slave: int) -> None:
    """Become the leader of a session on the terminal *slave*, and have it where the caller's terminal was."""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in _STANDARD:
        if os.isatty(fd):
            os.dup2(slave, fd)


def copy_size(source: int, target: int) -> None:
    """Give the terminal *target* as many rows and columns as *source* has."""
    fcntl.ioctl(target, termios.TIOCSWINSZ, fcntl.ioctl(source, termios.TIOCGWINSZ, _SIZE))


class Channel:
    """Where the other end of the command's terminal comes from."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        self.sending_fd = theirs.detach()
        """For ``send_new``, in another process."""

    @contextlib.contextmanager
    def connected(self) -> Iterator[int | None]:
        """Connect the command's terminal with the caller's, and give its other end; None if it was never sent."""
        os.close(self.sending_fd)
        self.sending_fd = -1
        _, received, _, _ = socket.recv_fds(self._ours, 1, 1)
        if not received:
            yield None
            return
        before = termios.tcgetattr(0)
        tty.setraw(0, termios.TCSADRAIN)
        try:
            with _relayed(received[0]):
                yield received[0]
        finally:
            os.close(received[0])
            with contextlib.suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(0, termios.TCSADRAIN, before)

    def close(self) -> None:
        """Let go of both ends."""
        self._ours.close()
        if self.sending_fd >= 0:
            os.close(self.sending_fd)


@contextlib.contextmanager
def _relayed(master: int) -> Iterator[None]:
    stop, stopping = os.pipe()
    relay = threading.Thread(target=_relay, args=(master, stop), daemon=True)
    relay.start()
    try:
        yield
    finally:
        # When the last process that had the terminal open is gone, reading its other end comes to an end.
        relay.join(_DRAINING)
        os.close(stopping)
        relay.join(_DRAINING)
        os.close(stop)


def _relay(master: int, stop: int) -> None:
    """Copy what is typed to *master*, and what is written there to the caller, until it or *stop* ends."""
    poll = select.poll()
    for fd in (0, master, stop):
        poll.register(fd, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if master in ready and not _copied(master, 1):
            return
        if 0 in ready and not _copied(0, master):
            poll.unregister(0)
        if stop in ready:
            return


def _copied(source: int, target: int) -> bool:
    """Copy a piece, and tell whether there may be more."""
    try:
        rest = os.read(source, _PIECE)
        if not rest:
            return False
        while rest:
            rest = rest[os.write(target, rest) :]
    except OSError:
        return False  # EIO: nobody has the other end any more
    return True
