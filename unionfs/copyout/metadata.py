"""What a copied entry keeps of what the image says of it: permissions and times always, the rest where all is kept.

Owns the order: a new owner takes set-id bits and capabilities away, and an access list changes the permissions.
"""

import os
import stat
from collections.abc import Mapping
from typing import NamedTuple, Self

from unionfs.layer.directory import Directory
from unionfs.linux import xattrs
from unionfs.linux.files import descriptor_path
from unionfs.view import Entry, View, is_portable

_SET_ID = stat.S_ISUID | stat.S_ISGID


class Metadata(NamedTuple):
    """What an entry is to have; without an owner it stays the caller's."""

    permissions: int
    owner: tuple[int, int] | None
    times_ns: tuple[int, int]
    xattrs: Mapping[bytes, bytes]

    @classmethod
    def of(cls, view: View, entry: Entry, *, everything: bool) -> Self:
        """Give what *entry* keeps: without *everything* no owner, and so no set-id bits, and no attributes.

        Raises:
            OSError: its attributes can't be read.
        """
        shown = entry.attributes
        permissions, times = stat.S_IMODE(shown.mode), (shown.atime_ns, shown.mtime_ns)
        if not everything:
            return cls(permissions & ~_SET_ID, None, times, {})
        kept = {name: value for name, value in view.xattrs(entry.path).items() if is_portable(name)}
        return cls(permissions, (shown.uid, shown.gid), times, kept)

    def give_open(self, fd: int) -> None:
        """Give all of it to the regular file or directory that is open as *fd*."""
        if self.owner is not None:
            os.fchown(fd, *self.owner)
        os.fchmod(fd, self.permissions)
        self._give_xattrs(fd)
        os.utime(fd, ns=self.times_ns)

    def give(self, directory: Directory, name: bytes) -> None:
        """Give all of it to the symbolic link, FIFO, socket or device *name*, which this process has just made."""
        if self.owner is not None:
            os.chown(name, *self.owner, dir_fd=directory.fd(), follow_symlinks=False)
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory.fd())
        try:
            if not stat.S_ISLNK(os.fstat(fd).st_mode):
                os.chmod(descriptor_path(fd), self.permissions)
        finally:
            os.close(fd)
        self._give_xattrs(directory.path(name))
        os.utime(name, ns=self.times_ns, dir_fd=directory.fd(), follow_symlinks=False)

    def _give_xattrs(self, file: int | bytes) -> None:
        for name, value in self.xattrs.items():
            xattrs.set_(file, name, value)
