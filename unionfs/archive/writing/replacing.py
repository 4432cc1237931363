"""Files that appear whole or not at all."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from unionfs.archive.stream import CHUNK

_UNSUPPORTED = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)
"""Of O_TMPFILE: no file without a name on this file system, or in this kernel."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MODE = 0o666
_DESCRIPTORS = "/proc/self/fd"


@contextmanager
def output(path: str) -> Iterator[BinaryIO]:
    """Give a file that is at ``path`` once all is written and on disk; what is there now stays until then.

    A symbolic link is followed. A pipe or a device is written to as it is. Raises OSError.
    """
    target = os.path.realpath(path)
    mode = _mode(target)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if mode and not stat.S_ISREG(mode):
        with open(target, "wb", buffering=CHUNK) as stream:
            yield stream
        return
    directory = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with replacing(directory, os.path.basename(target), path) as file:
            yield file
        os.fsync(directory)
    finally:
        os.close(directory)


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return 0


@contextmanager
def replacing(directory: int, name: str, shown: str) -> Iterator[BinaryIO]:
    """Give a file that becomes ``name`` in the open ``directory`` once all is written and on disk.

    Until then it has no name, where the file system can do that: then nothing is left of it even if the process is
    killed. The directory itself is left for the caller to sync. ``shown`` stands for the file in errors. Raises
    OSError.
    """
    temporary = f".unionfs-{secrets.token_hex(8)}"
    with ExitStack() as undo:
        try:
            descriptor = _unnamed(directory)
            named = descriptor is None
            if descriptor is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                descriptor = os.open(temporary, flags, _MODE, dir_fd=directory)
                undo.callback(os.unlink, temporary, dir_fd=directory)
            with open(descriptor, "wb", buffering=CHUNK) as file:
                yield file
                file.flush()
                os.fsync(descriptor)
                if not named:
                    os.link(f"{_DESCRIPTORS}/{descriptor}", temporary, dst_dir_fd=directory, follow_symlinks=True)
                    undo.callback(os.unlink, temporary, dir_fd=directory)
                os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
                undo.pop_all()
        except OSError as error:
            if error.filename in (".", temporary) or error.errno in _NO_ROOM:
                error.filename, error.filename2 = shown, None
            raise


def _unnamed(directory: int) -> int | None:
    # It gets its name by its place here, which isn't mounted in every root.
    if not os.path.exists(_DESCRIPTORS):
        return None
    try:
        return os.open(".", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, _MODE, dir_fd=directory)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise
