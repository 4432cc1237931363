"""A connection to a session without a kernel: a pair of sockets that keep messages apart, as /dev/fuse does.

The session runs on a thread of its own, and real bytes go both ways.
"""

import itertools
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from unionfs.fuse.data_path import DataPath
from unionfs.fuse.kernel import abi
from unionfs.fuse.kernel.abi import Opcode
from unionfs.fuse.kernel.session import Session
from unionfs.union import Union

PATIENCE = 10.0
_ROOM = 4 << 20


class Reply(NamedTuple):
    """An answer: 0 or a positive errno, and the body."""

    error: int
    body: bytes


class Connection:
    """The kernel's end."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._unique = itertools.count(2, 2)
        self._early: dict[int, Reply] = {}

    def send(self, opcode: int, nodeid: int, body: bytes = b"", *, uid: int = 0, gid: int = 0, pid: int = 0) -> int:
        """Send a request, and give its number."""
        unique = next(self._unique)
        length = abi.IN_HEADER.size + len(body)
        self._end.send(abi.IN_HEADER.pack(length, opcode, unique, nodeid, uid, gid, pid, 0, 0) + body)
        return unique

    def send_bytes(self, message: bytes) -> None:
        """Send what may be no request."""
        self._end.send(message)

    def receive(self, unique: int) -> Reply:
        """Wait for the answer to the request *unique*; others are kept for later."""
        while unique not in self._early:
            message = self._end.recv(_ROOM)
            length, error, number = abi.OUT_HEADER.unpack_from(message)
            assert length == len(message)
            self._early[number] = Reply(-error, message[abi.OUT_HEADER.size :])
        return self._early.pop(unique)

    def ask(self, opcode: int, nodeid: int, body: bytes = b"", *, uid: int = 0, gid: int = 0, pid: int = 0) -> Reply:
        """Send a request and wait for its answer."""
        return self.receive(self.send(opcode, nodeid, body, uid=uid, gid=gid, pid=pid))

    def is_silent(self) -> bool:
        """Tell whether no answer is there that nobody asked for."""
        self._end.settimeout(0.05)
        try:
            self._end.recv(_ROOM)
        except TimeoutError:
            return True
        finally:
            self._end.settimeout(PATIENCE)
        return False

    def initialise(self, flags: int, *, major: int = 7, minor: int = 45) -> Reply:
        """Offer *flags* as the kernel does."""
        body = struct.pack("=IIIII44x", major, minor, 131072, flags & 0xFFFFFFFF, flags >> 32)
        return self.ask(Opcode.INIT, 0, body)


@contextmanager
def connected(
    union: Union, ready: threading.Event | None = None, data_path: DataPath | None = None
) -> Iterator[Connection]:
    """Run a session over *union* for as long as the context lasts."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
        end.settimeout(PATIENCE)
    wanted = (data_path or DataPath(passthrough=False)).settled(read_only=union.is_read_only)
    session = Session(union, theirs.fileno(), (ready or threading.Event()).set, wanted)
    thread = threading.Thread(target=session.run, name="session")
    thread.start()
    connection = Connection(ours)
    try:
        yield connection
    finally:
        # The device would say ENODEV; a socket can't, so the session is told.
        session.device.connected = False
        connection.send(Opcode.DESTROY, 0)
        deadline = time.monotonic() + PATIENCE
        thread.join(deadline - time.monotonic())
        ours.close()
        theirs.close()
    assert not thread.is_alive()
