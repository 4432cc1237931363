"""The directory that a layer is unpacked into before it gets its name: the layer's root, and what is kept beside it."""

import os
from contextlib import suppress
from typing import Self

from unionfs.layer import acl
from unionfs.layer.unpack.descent import DIRECTORY, remove_tree
from unionfs.linux import xattrs

ROOT = b"root"
LINKS = b"links"
"""Files that stand for hard links to files beneath, named by the hash of their targets."""
PLNK = b"plnk"
"""The files of aufs' ``.wh..wh.plnk``, which are content only by the hard links to them."""
PARKED = b"parked"


class Staging:
    """An open staging directory; a context manager."""

    def __init__(self, fd: int) -> None:
        """Take over the open directory *fd*, and let nothing made in it inherit an access list."""
        xattrs.discard(fd, acl.DEFAULT)
        self.fd = fd
        self._open: dict[bytes, int] = {}

    def directory(self, name: bytes) -> int:
        """Give a descriptor of the directory *name* in it, made if it isn't there."""
        fd = self._open.get(name)
        if fd is None:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=self.fd)
            fd = self._open[name] = os.open(name, DIRECTORY, dir_fd=self.fd)
        return fd

    def discard_aside(self) -> None:
        """Remove what was kept beside the root, so that no file has a name there."""
        for name in (LINKS, PLNK):
            with suppress(FileNotFoundError):
                remove_tree(self.fd, name)

    def close(self) -> None:
        """Close the descriptors; the directory stays."""
        for fd in (self.fd, *self._open.values()):
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
