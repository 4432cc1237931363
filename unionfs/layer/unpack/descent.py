"""Going through a directory tree of any depth with one open directory, and without following symbolic links."""

import errno
import os
import stat
from collections.abc import Callable
from typing import Self

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Descent:
    """A place in a tree: ``fd`` is the open directory, ``status`` what stat(2) tells of it. A context manager.

    The way back up is ``..``, checked to lead to where it came from: another process may move directories.
    """

    def __init__(self, directory_fd: int, name: bytes = b".") -> None:
        """Begin at the directory *name* of an open one."""
        self.fd = os.open(name, DIRECTORY, dir_fd=directory_fd)
        self.status = os.fstat(self.fd)
        self._above: list[os.stat_result] = []

    def down(self, name: bytes) -> None:
        """Go on to the directory *name*.

        Raises:
            OSError: ENOTDIR or ELOOP when something else stands there.
        """
        self._move_to(os.open(name, DIRECTORY, dir_fd=self.fd), self.status)

    def up(self) -> None:
        """Go back to where the last ``down`` began.

        Raises:
            OSError: ESTALE when the directory was moved away from there.
        """
        self._move_to(os.open(b"..", DIRECTORY, dir_fd=self.fd), None)
        if not os.path.samestat(self.status, self._above.pop()):
            raise OSError(errno.ESTALE, "a directory was moved while the tree was walked")

    def _move_to(self, fd: int, above: os.stat_result | None) -> None:
        os.close(self.fd)
        self.fd = fd
        self.status = os.fstat(fd)
        if above is not None:
            self._above.append(above)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def remove_tree(directory_fd: int, name: bytes, forget: Callable[[int], None] = lambda _: None) -> None:
    """Remove *name* in an open directory and all beneath it; *forget* is told each directory's inode number.

    Raises:
        OSError: something can't be removed.
    """
    if _unlinked(directory_fd, name):
        return
    with Descent(directory_fd, name) as place:
        levels = [(name, _empty_but_for_directories(place.fd))]
        while True:
            emptied, left = levels[-1]
            if left:
                deeper = left.pop()
                place.down(deeper)
                levels.append((deeper, _empty_but_for_directories(place.fd)))
                continue
            levels.pop()
            forget(place.status.st_ino)
            if not levels:
                break
            place.up()
            os.rmdir(emptied, dir_fd=place.fd)
    os.rmdir(name, dir_fd=directory_fd)


def _unlinked(directory_fd: int, name: bytes) -> bool:
    """Remove *name* unless it is a directory."""
    try:
        os.unlink(name, dir_fd=directory_fd)
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.EPERM):
            raise
        if not stat.S_ISDIR(os.stat(name, dir_fd=directory_fd, follow_symlinks=False).st_mode):
            raise
        return False
    return True


def _empty_but_for_directories(fd: int) -> list[bytes]:
    """Remove what isn't a directory from the open directory *fd*, and give the names of its directories."""
    directories = []
    with os.scandir(fd) as listing:
        for entry in listing:
            if entry.is_dir(follow_symlinks=False):
                directories.append(os.fsencode(entry.name))
            else:
                os.unlink(entry.name, dir_fd=fd)
    return directories
