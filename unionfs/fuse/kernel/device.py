"""One connection on /dev/fuse: whole messages in and out.

Owns what the errors of the device mean. Waiting for a message is the session's business.
"""

import errno
import fcntl
import logging
import os

from unionfs.fuse.kernel import abi, codec

_log = logging.getLogger(__name__)

# One message carries up to 1 MiB of content, the most that every kernel from 4.20 on takes.
MAX_WRITE = 1 << 20
_HEADERS = 4096


class Device:
    """The daemon's end of a mounted connection; *fd* stays its owner's to close."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self.connected = True
        self._buffer = bytearray(MAX_WRITE + _HEADERS)
        self._view = memoryview(self._buffer)

    def receive(self) -> memoryview | None:
        """Read one message, which holds until the next call; None when there is none now, or none any more.

        Raises:
            OSError: the connection failed.
        """
        try:
            return self._view[: os.readv(self.fd, [self._buffer])]
        except BlockingIOError:
            return None
        except OSError as error:
            # ENODEV: the mount has ended. ECONNABORTED: somebody aborted it.
            if error.errno in (errno.ENODEV, errno.ECONNABORTED):
                self.connected = False
            # ENOENT: the request was interrupted before it was read.
            elif error.errno not in (errno.ENOENT, errno.EINTR):
                raise
            return None

    def answer(self, unique: int, body: bytes) -> None:
        """Answer the request *unique*."""
        self._send(unique, codec.answer_header(unique, len(body)), body)

    def fail(self, unique: int, error: int) -> None:
        """Answer the request *unique* with an errno."""
        self._send(unique, codec.answer_header(unique, 0, error), b"")

    def forget_attributes(self, number: int) -> None:
        """Have the kernel ask for the attributes of the inode *number* when it needs them next."""
        body = abi.NOTIFY_INVAL_INODE_OUT.pack(number, -1, 0)
        header = abi.OUT_HEADER.pack(abi.OUT_HEADER.size + len(body), abi.NOTIFY_INVAL_INODE, 0)
        self._send(0, header, body)

    def open_backing(self, fd: int) -> int:
        """Tell the kernel of a file that it may read and write by itself, and give the number that it has there.

        Raises:
            OSError: EPERM without CAP_SYS_ADMIN, ELOOP on a file system that is stacked itself, EMFILE and others.
        """
        number: int = fcntl.ioctl(self.fd, abi.BACKING_OPEN, bytearray(abi.BACKING_MAP.pack(fd, 0, 0)))
        return number

    def close_backing(self, number: int) -> None:
        """Let the kernel forget the file *number* once nothing has it open.

        Raises:
            OSError: ENOENT where there is no such file.
        """
        fcntl.ioctl(self.fd, abi.BACKING_CLOSE, bytearray(abi.BACKING_ID.pack(number)))

    def _send(self, unique: int, header: bytes, body: bytes) -> None:
        try:
            os.writev(self.fd, [header, body])
        except OSError as error:
            # ENOENT: whoever asked was interrupted and is gone. ENODEV: the mount has ended.
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                _log.error("the answer to request %d was refused: %s", unique, error)
