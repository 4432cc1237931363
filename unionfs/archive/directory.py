"""Files of a directory, opened so that no symbolic link leads out of it."""

import os
import stat
from contextlib import ExitStack

from unionfs.archive.error import ArchiveError
from unionfs.archive.stream import Window
from unionfs.image import shown

_MAX_LINKS = 40
"""Symbolic links followed in one path, as many as the kernel does."""

_ENTER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Should the file have become a fifo or a terminal since it was looked at, opening it must neither wait nor take it.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Directory:
    """The regular files beneath a directory; nothing is written, so read-only media will do."""

    def __init__(self, descriptor: int) -> None:
        """Keep a duplicate of an open directory's descriptor."""
        self._root = os.dup(descriptor)

    def open(self, path: str) -> Window:
        """Return a file's content; raises ArchiveError if it isn't a regular file within, and OSError."""
        with ExitStack() as opened:
            try:
                descriptor = _open_beneath(self._root, path, opened)
            except (FileNotFoundError, NotADirectoryError):
                raise ArchiveError(f"{shown(path)} is missing in the directory") from None
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ArchiveError(f"{shown(path)} is no regular file")
            return Window(descriptor, 0, status.st_size)

    def top_names(self) -> set[str]:
        """Return the names in the directory itself."""
        return set(os.listdir(self._root))

    def close(self) -> None:
        """Close the directory; windows that are open stay good."""
        if self._root >= 0:
            os.close(self._root)
        # What is opened from now on fails, and doesn't read whatever gets the same number.
        self._root = -1


def _open_beneath(root: int, path: str, opened: ExitStack) -> int:
    """Return a descriptor for ``path``, resolved step by step from ``root``; ``opened`` closes what was opened.

    Each step takes one name and follows no link, so a link swapped in meanwhile is an error and not a way
    out.
    """
    above = [root]
    names = path.split("/")[::-1]
    links = 0
    while names:
        name = names.pop()
        if name in ("", "."):
            continue
        if name == "..":
            above.pop()
        elif (target := _link_target(above[-1], name)) is None:
            above.append(_step(above[-1], name, path))
            opened.callback(os.close, above[-1])
        else:
            links += 1
            names += target.split("/")[::-1]
            if target.startswith("/"):
                above.clear()
        if not above:
            raise ArchiveError(f"{shown(path)} leads out of the directory")
        if links > _MAX_LINKS:
            raise ArchiveError(f"{shown(path)} goes through more than {_MAX_LINKS} symbolic links")
    return above[-1]


def _link_target(directory: int, name: str) -> str | None:
    """Return what a symbolic link says, or None if it is none."""
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    return os.readlink(name, dir_fd=directory) if stat.S_ISLNK(status.st_mode) else None


def _step(directory: int, name: str, path: str) -> int:
    """Open one name: a regular file to read, a directory to go through."""
    mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ArchiveError(f"{shown(path)} is no regular file")
    return os.open(name, _ENTER if stat.S_ISDIR(mode) else _READ, dir_fd=directory)
