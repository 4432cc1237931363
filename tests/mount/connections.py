"""Real FUSE mounts of this program's type, with no union behind them."""

import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

from tests.mounts import mount

HEADER = struct.Struct("<IIQQIIII")
"""fuse_in_header: length, opcode, unique, node, uid, gid, pid, padding."""
LOOKUP, FORGET, GETATTR, STATFS, INIT, OPENDIR, READDIR, RELEASEDIR = 1, 2, 3, 17, 26, 27, 28, 29
INTERRUPT, BATCH_FORGET = 36, 42
ENOENT, ENOSYS = 2, 38


def mount_connection(mountpoint: Path) -> int:
    """Mount a connection of type ``fuse.unionfs`` and give its end; nobody answers on it."""
    device_fd = os.open("/dev/fuse", os.O_RDWR)
    parameters = f"fd={device_fd},rootmode=40000,user_id=0,group_id=0,allow_other"
    try:
        mount("unionfs", mountpoint, "fuse.unionfs", 0, parameters)
    except OSError:
        os.close(device_fd)
        raise
    return device_fd


class EmptyDirectory:
    """A file system with nothing in it, which answers just enough to be mounted, listed and measured."""

    def __init__(self) -> None:
        self.closed = False

    def serve(self, device_fd: int, ready: Callable[[], None]) -> None:
        """Answer until the device says that the mount has ended."""
        try:
            while True:
                request = os.read(device_fd, 1 << 20)
                _, opcode, unique, *_ = HEADER.unpack_from(request)
                if opcode not in (FORGET, BATCH_FORGET, INTERRUPT):
                    self._reply(device_fd, unique, opcode)
                if opcode == INIT:
                    ready()
        except OSError as error:
            if error.errno != 19:  # ENODEV
                raise
        finally:
            os.close(device_fd)

    def _reply(self, device_fd: int, unique: int, opcode: int) -> None:
        attributes = struct.pack(
            "<QQQQQQIIIIIIIIII", 1, 0, 0, 0, 0, 0, 0, 0, 0, stat.S_IFDIR | 0o755, 2, 0, 0, 0, 4096, 0
        )
        bodies = {
            INIT: struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, 0, 12, 9, 65536, 1, 0, 0, 0),
            GETATTR: struct.pack("<QII", 60, 0, 0) + attributes,
            STATFS: struct.pack("<QQQQQIIII24x", 0, 0, 0, 0, 0, 4096, 255, 4096, 0),
            OPENDIR: bytes(16),
            READDIR: b"",
            RELEASEDIR: b"",
        }
        body = bodies.get(opcode)
        error = 0 if body is not None else -(ENOENT if opcode == LOOKUP else ENOSYS)
        os.write(device_fd, struct.pack("<IiQ", 16 + len(body or b""), error, unique) + (body or b""))

    def statistics(self) -> str:
        """Give the line that the tests look for in the log."""
        return "nothing was asked"

    def close(self) -> None:
        """Note that the stack was let go."""
        self.closed = True
