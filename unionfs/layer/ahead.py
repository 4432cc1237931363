"""Reading what a layer holds before it is asked for, so that asking finds it in memory.

Owns reading on a thread of its own: nothing here touches a table or a descriptor of anybody else but the layer's root,
and what is given back is no more than how it went. What can't be read is passed over: whoever asks for it is told.
"""

import contextlib
import errno
import os
import resource
import stat
import time
from collections.abc import Sequence
from typing import NamedTuple

from unionfs.layer.directory import Directory, Tree
from unionfs.layer.pace import Pace
from unionfs.layer.whiteout import OPAQUE_MARKER
from unionfs.linux import xattrs
from unionfs.linux.resolve import openat2

_READING = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READING_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# The kernel itself reads ahead in a file that is being read.
_BEGINNING = 512 << 10
# ext4 and XFS have as many of 256 bytes in 4 KiB; elsewhere neighbours lie together too.
_INODES_IN_BLOCK = 16
# Of a large directory some thousand inodes are enough to be ahead.
_MOST_GROUPS = 256


class Route(NamedTuple):
    """The way to a directory from its layer's root, as it is when it is asked for."""

    tree: Tree
    root_fd: int
    path: bytes

    @classmethod
    def to(cls, directory: Directory) -> "Route":
        """Give the way to *directory*."""
        names: list[bytes] = []
        while directory.parent is not None:
            names.append(directory.name)
            directory = directory.parent
        return cls(directory.tree, directory.root_fd, b"/".join(reversed(names)) or b".")

    def open(self) -> int:
        """Open the directory to read its names.

        Raises:
            OSError: it isn't there any more, or can't be read.
        """
        if self.tree.confined:
            return os.open(self.path, _READING, dir_fd=self.root_fd)
        return openat2(self.root_fd, self.path, _READING)


class Taken(NamedTuple):
    """How long it took to read something of the layer with *pace*, for ``Pace.note``."""

    pace: Pace
    seconds: float
    names: int


def read_names(routes: Sequence[Route]) -> list[Taken]:
    """Read the names of the directories."""
    return [_timed(route, None) for route in routes]


def read_attributes(routes: Sequence[Route], names: Sequence[bytes]) -> list[Taken]:
    """Read the attributes of *names* in each of the directories."""
    return [_timed(route, names) for route in routes]


def read_directories(routes: Sequence[Route]) -> int:
    """Read the directories and the inodes in them, as far as may be; give how many blocks came from disks for it."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_inblock
    for route in routes:
        with contextlib.suppress(OSError):
            fd = route.open()
            try:
                _touch_inodes(route.tree, fd)
            finally:
                os.close(fd)
    return resource.getrusage(resource.RUSAGE_THREAD).ru_inblock - before


def _touch_inodes(tree: Tree, fd: int) -> None:
    """Look at one entry of each group whose inodes share a block, in the order in which they lie on the disk.

    Into each directory too: whether it hides those beneath may be told by a file in it.
    """
    groups: dict[int, os.DirEntry[str]] = {}
    directories: list[bytes] = []
    with os.scandir(fd) as listing:
        for found in listing:
            groups.setdefault(found.inode() // _INODES_IN_BLOCK, found)
            if found.is_dir(follow_symlinks=False):
                directories.append(os.fsencode(found.name))
    for group in sorted(groups)[:_MOST_GROUPS]:
        with contextlib.suppress(OSError):
            os.stat(groups[group].name, dir_fd=fd, follow_symlinks=False)
    for directory in directories[:_MOST_GROUPS]:
        with contextlib.suppress(OSError):
            _touch_marker(tree, fd, directory)


def read_content(wanted: Sequence[tuple[Route, Sequence[bytes]]], limit: int) -> int:
    """Have the beginning of files read, as far as *limit* bytes go; give how many weren't in memory."""
    missing = 0
    for route, names in wanted:
        with contextlib.suppress(OSError):
            directory = route.open()
            try:
                for name in names:
                    size = _begin_to_read(directory, name) if limit > 0 else 0
                    missing += size > 0
                    limit -= size
            finally:
                os.close(directory)
    return missing


def _begin_to_read(directory: int, name: bytes) -> int:
    """Have the beginning of a file read without waiting for it; give how many bytes that are, 0 for none."""
    try:
        fd = os.open(name, _READING_FILE, dir_fd=directory)
    except OSError:
        return 0
    try:
        status = os.fstat(fd)
        size = min(status.st_size, _BEGINNING)
        if not stat.S_ISREG(status.st_mode) or not size or _is_in_memory(fd):
            return 0
        os.posix_fadvise(fd, 0, size, os.POSIX_FADV_WILLNEED)
    finally:
        os.close(fd)
    return size


def _is_in_memory(fd: int) -> bool:
    """Tell whether the first byte is; where that can't be asked it is, as on tmpfs."""
    try:
        os.preadv(fd, [bytearray(1)], 0, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError as error:
        return error.errno == errno.EOPNOTSUPP
    return True


def _timed(route: Route, names: Sequence[bytes] | None) -> Taken:
    started, count = time.perf_counter(), 0
    with contextlib.suppress(OSError):
        fd = route.open()
        try:
            count = _touch_names(fd) if names is None else _touch(route.tree, fd, names)
        finally:
            os.close(fd)
    return Taken(route.tree.pace, time.perf_counter() - started, count)


def _touch_names(fd: int) -> int:
    with os.scandir(fd) as listing:
        return sum(1 for _ in listing)


def _touch(tree: Tree, fd: int, names: Sequence[bytes]) -> int:
    for name in names:
        with contextlib.suppress(OSError):
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            xattrs.list_names(b"/proc/self/fd/%d/%s" % (fd, name))
            if stat.S_ISDIR(status.st_mode):
                _touch_marker(tree, fd, name)
    return len(names)


def _touch_marker(tree: Tree, fd: int, name: bytes) -> None:
    directory = tree.open_component(fd, name)
    try:
        os.stat(OPAQUE_MARKER, dir_fd=directory, follow_symlinks=False)
    finally:
        os.close(directory)
