"""The directories of a layer that is being unpacked: reached one component at a time, made where they are missing.

Owns the descriptors, of which a bounded number is open at a time, and the times of the directories: every change in a
directory moves its times, so they are noted when it is opened for a change and set again when it is closed. What a
directory is to show is thus always on disk or in an open directory, and memory doesn't grow with the layer.
"""

import errno
import os
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

from unionfs.layer import acl
from unionfs.layer.unpack import paths
from unionfs.layer.unpack.descent import DIRECTORY, remove_tree
from unionfs.linux import xattrs

_OPEN = 64
_NO_DIRECTORY = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class OpenDirectory:
    """An open directory of the layer; its ``times`` (access and modification, in nanoseconds) are set at its close."""

    __slots__ = ("fd", "has_default_acl", "ino", "path", "times")

    def __init__(self, fd: int, path: bytes) -> None:
        self.fd = fd
        self.path = path
        found = os.fstat(fd)
        self.ino = found.st_ino
        self.times = (found.st_atime_ns, found.st_mtime_ns)
        self.has_default_acl = False

    def close(self) -> None:
        """Set the times, and close it.

        Raises:
            OSError: EIO and the like; it is closed all the same.
        """
        # A number that is used once more must not mean another directory.
        fd, self.fd = self.fd, -1
        try:
            os.utime(fd, ns=self.times)
        finally:
            os.close(fd)


class Tree:
    """All directories of the layer. ``has_default_acls`` is set once a default access list was given to one of them."""

    def __init__(self, root_fd: int) -> None:
        self.root = OpenDirectory(root_fd, b"")
        self.has_default_acls = False
        self._open: OrderedDict[bytes, OpenDirectory] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def directory(self, path: bytes, make: "Maker | None" = None) -> OpenDirectory:
        """Give the directory *path*, open at least until the second next call.

        Where a directory of the path isn't one or isn't there, *make* is called to make it.

        Raises:
            OSError: without *make*: ENOENT where there is nothing, ENOTDIR or ELOOP where there is something else.
        """
        if not path:
            return self.root
        found = self._open.get(path)
        if found is not None:
            self._open.move_to_end(path)
            return found
        return self._reach(path, make)

    def adopt(self, fd: int, path: bytes) -> OpenDirectory:
        """Take over the open directory *fd*, which is *path*."""
        directory = OpenDirectory(fd, path)
        if self.has_default_acls:
            directory.has_default_acl = xattrs.get(fd, acl.DEFAULT) is not None
        if len(self._open) >= _OPEN:
            self._open.popitem(last=False)[1].close()
        self._open[path] = directory
        return directory

    def remove(self, directory: OpenDirectory, name: bytes, forget: Callable[[int], None]) -> None:
        """Remove *name* in *directory* and all beneath it; *forget* is told each directory's inode number."""
        top = paths.join(directory.path, name)
        beneath = top + b"/"
        for path in [path for path in self._open if path == top or path.startswith(beneath)]:
            self._open.pop(path).close()
        remove_tree(directory.fd, name, forget)

    def close(self) -> None:
        """Set the times of all open directories, and close them.

        Raises:
            OSError: EIO and the like; all are closed all the same.
        """
        with ExitStack() as closing:
            for directory in (self.root, *self._open.values()):
                closing.callback(directory.close)
            self._open.clear()

    def _reach(self, path: bytes, make: "Maker | None") -> OpenDirectory:
        """Descend from the nearest open directory above *path*; those passed through aren't kept open."""
        missing = []
        above = path
        while above and above not in self._open:
            above, _, name = above.rpartition(b"/")
            missing.append(name)
        here = self.directory(above)
        passing = -1
        for name in reversed(missing):
            fd = here.fd if passing < 0 else passing
            try:
                deeper = os.open(name, DIRECTORY, dir_fd=fd)
            except OSError as error:
                if make is None or error.errno not in _NO_DIRECTORY:
                    _close(passing)
                    raise
                if passing >= 0:
                    here, passing = self.adopt(passing, above), -1
                here = make(here, name)
            else:
                _close(passing)
                passing = deeper
            above = paths.join(above, name)
        return here if passing < 0 else self.adopt(passing, above)


Maker = Callable[[OpenDirectory, bytes], OpenDirectory]
"""Makes the directory of a name in an open directory, and adopts it into the tree."""


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)
