"""Directories and files of the root to mount on, made where they are missing, and taken away at the end.

So a run leaves nothing of itself in the upper: what is still as it was made is removed, and the directory that it was
made in keeps its time of change. Everything is done inside the root, where no path leads out of it.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from unionfs.linux.mounts import MNT_DETACH, UMOUNT_NOFOLLOW, attach_tree, umount2
from unionfs.shell.error import ShellError


class _Made(NamedTuple):
    """An entry that wasn't there before; *above* is its directory."""

    above: int
    name: str
    is_directory: bool


class Places:
    """Where something is mounted in the root."""

    def __init__(self) -> None:
        self._made: list[_Made] = []

    def attach(self, tree_fd: int, path: str) -> None:
        """Mount the unattached *tree_fd* at *path* of the root, and close it.

        Raises:
            ShellError: what is there is of another kind. OSError: it can't be made or mounted on.
        """
        is_directory = stat.S_ISDIR(os.fstat(tree_fd).st_mode)
        try:
            place = self._open(path, is_directory=is_directory)
            try:
                attach_tree(tree_fd, place)
            finally:
                os.close(place)
        except OSError as error:
            raise ShellError(f"{path} of the image can't be mounted on: {error.strerror}") from None
        finally:
            os.close(tree_fd)

    def _open(self, path: str, *, is_directory: bool) -> int:
        # Links are followed as a program in the root would follow them, be it to what isn't there yet.
        path = os.path.realpath(path)
        if not os.path.lexists(path):
            self._make(path, is_directory=is_directory)
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        if stat.S_ISDIR(os.fstat(fd).st_mode) != is_directory:
            os.close(fd)
            raise ShellError(f"{path} of the image is {'no' if is_directory else 'a'} directory")
        return fd

    def _make(self, path: str, *, is_directory: bool) -> None:
        directory, name = os.path.split(path)
        if not os.path.lexists(directory):
            self._make(directory, is_directory=True)
        above = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._made.append(_Made(above, name, is_directory))
        with _keeping_times(directory):
            if is_directory:
                os.mkdir(name, 0o755, dir_fd=above)
            else:
                os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=above))

    def tidy(self) -> None:
        """Unmount what is on the entries that were made, and remove those that nothing was put into."""
        while self._made:
            made = self._made.pop()
            # It stays where the command has moved it or put something into it, and where the daemon has died.
            with contextlib.suppress(OSError):
                _remove(made)
            os.close(made.above)
        os.chdir("/")


def _remove(made: _Made) -> None:
    os.fchdir(made.above)
    with contextlib.suppress(OSError):  # one that was only made to hold another has nothing mounted on it
        umount2(os.fsencode(made.name), MNT_DETACH | UMOUNT_NOFOLLOW)
    with _keeping_times("."):
        if made.is_directory:
            os.rmdir(made.name)
        elif os.lstat(made.name).st_size == 0:
            os.unlink(made.name)


@contextlib.contextmanager
def _keeping_times(directory: str) -> Iterator[None]:
    before = os.stat(directory)
    yield
    os.utime(directory, ns=(before.st_atime_ns, before.st_mtime_ns))
