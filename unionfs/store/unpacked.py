"""Layers that were unpacked, read without a lock: one that has its name is complete, and stays as it is.

Owns what the names in a directory of layers mean. That none is removed meanwhile is the caller's care.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from unionfs.image import Digest
from unionfs.layer.descriptors import MINIMUM, Descriptors
from unionfs.layer.directory import Directory, Tree

EMPTY = b"empty"
"""The layer of an image that has none."""


_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class UnpackedLayers:
    """An open directory of layers; whoever makes one closes ``fd``."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd

    def has(self, name: bytes) -> bool:
        """Tell whether the layer *name* is there, complete.

        Raises:
            OSError: ENOTDIR where something else has its name.
        """
        try:
            found = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if not stat.S_ISDIR(found.st_mode):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fsencode(self.path_of(name)))
        return True

    def names(self) -> list[bytes]:
        """Give the names of all layers."""
        return sorted(os.fsencode(name) for name in os.listdir(self.fd) if not name.startswith("."))

    def path_of(self, name: bytes) -> Path:
        """Give the absolute path of the layer *name*."""
        return self.path / os.fsdecode(name)

    def root(self, name: bytes, descriptors: Descriptors) -> Directory:
        """Give the root of the layer *name*."""
        return self.top(descriptors).child(name)

    def top(self, descriptors: Descriptors) -> Directory:
        """Give the directory of layers itself."""
        tree = Tree(descriptors, os.fstat(self.fd).st_dev, position=0, confined=False)
        return Directory(tree, None, b"", self.fd)

    def showing(self, names: Sequence[bytes]) -> tuple[Path, ...]:
        """Give the paths of those of the layers *names*, the lowest first, that show, the topmost first.

        What lies beneath an opaque root doesn't; the kernel's overlayfs doesn't look at a layer's root, so it is left
        out. An image without layers shows the empty one.
        """
        shown = []
        for name in reversed(names or [EMPTY]):
            shown.append(self.path_of(name))
            if self._has_opaque_root(name):
                break
        return tuple(shown)

    def _has_opaque_root(self, name: bytes) -> bool:
        with closing(Descriptors(MINIMUM)) as descriptors:
            root = self.root(name, descriptors)
            return root.is_opaque(root.marks())


@contextmanager
def opened_layers(path: Path) -> Iterator[UnpackedLayers]:
    """Open the directory of layers at *path*."""
    fd = os.open(path, _DIRECTORY)
    try:
        yield UnpackedLayers(path, fd)
    finally:
        os.close(fd)


def layer_name(chain_id: Digest) -> bytes:
    """Give the name of the layer with this chain id; it has no colon, which separates layers in ``lowerdir``."""
    return f"{chain_id.algorithm}-{chain_id.hex}".encode()
