"""A second view of a directory, through a clone of its mount that maps ids (mount_setattr(2), MOUNT_ATTR_IDMAP)."""

import ctypes
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.filesystems import scratch
from tests.mounts import unmount_or_detach

SHIFT, COUNT = 100_000, 1000
"""Id N of the files is SHIFT + N in the view, for COUNT ids from 0 on."""
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_MOUNT_SETATTR = 428, 429, 442
_OPEN_TREE_CLONE, _AT_EMPTY_PATH, _MOVE_MOUNT_F_EMPTY_PATH, _MOUNT_ATTR_IDMAP = 1, 0x1000, 4, 0x100000
_AT_FDCWD = -100
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextmanager
def mapped_view(directory: Path) -> Iterator[Path]:
    """Show the directory with mapped ids at another place. Raises OSError: EINVAL where its file system can't."""
    with scratch() as place, _user_namespace() as namespace:
        tree = _system_call(_SYS_OPEN_TREE, _AT_FDCWD, os.fsencode(directory), _OPEN_TREE_CLONE | os.O_CLOEXEC)
        try:
            attributes = struct.pack("=QQQQ", _MOUNT_ATTR_IDMAP, 0, 0, namespace)
            _system_call(_SYS_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, attributes, len(attributes))
            _system_call(_SYS_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(place), _MOVE_MOUNT_F_EMPTY_PATH)
        finally:
            os.close(tree)
        try:
            yield place
        finally:
            assert unmount_or_detach(place), "something is open in the view"


@contextmanager
def _user_namespace() -> Iterator[int]:
    """Give the descriptor of one that has the ids; its first process may end."""
    command = ["unshare", "--user", "sh", "-c", "echo; read _"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as within:
        assert within.stdout is not None
        within.stdout.readline()
        for kind in ("uid", "gid"):
            Path(f"/proc/{within.pid}/{kind}_map").write_text(f"0 {SHIFT} {COUNT}\n", encoding="ascii")
        namespace = os.open(f"/proc/{within.pid}/ns/user", os.O_RDONLY)
        within.communicate()
    try:
        yield namespace
    finally:
        os.close(namespace)


def _system_call(number: int, *arguments: int | bytes) -> int:
    registers = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result: int = _LIBC.syscall(ctypes.c_long(number), *registers)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
