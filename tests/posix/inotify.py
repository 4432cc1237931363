"""inotify(7), through the C library."""

import ctypes
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

EVENTS = {
    0x2: "MODIFY",
    0x4: "ATTRIB",
    0x8: "CLOSE_WRITE",
    0x40: "MOVED_FROM",
    0x80: "MOVED_TO",
    0x100: "CREATE",
    0x200: "DELETE",
}
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextmanager
def watching(path: Path) -> Iterator[Callable[[], list[tuple[str, str]]]]:
    """Watch the path while the block lasts; gives a function that returns the events so far, with their names."""
    descriptor = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor == -1:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    try:
        if _LIBC.inotify_add_watch(descriptor, os.fsencode(path), sum(EVENTS)) == -1:
            raise OSError(ctypes.get_errno(), "inotify_add_watch")
        yield lambda: list(_events(os.read(descriptor, 65536)))
    finally:
        os.close(descriptor)


def _events(buffer: bytes) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(buffer):
        _, mask, _, length = struct.unpack_from("iIII", buffer, position)
        name = buffer[position + 16 : position + 16 + length].rstrip(b"\0")
        yield from ((event, os.fsdecode(name)) for bit, event in EVENTS.items() if mask & bit)
        position += 16 + length
