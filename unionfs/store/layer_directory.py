"""The directory that holds unpacked layers: ``sha256-<chain id>`` for each, and what is in the making.

Owns who may write (whoever holds the lock on ``.lock``), where layers are made (``.staging``, swept by the next holder)
and how one appears: everything it consists of reaches the disk before its name does.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import Directory
from unionfs.layer.unpack import ROOT, Staging, remove_tree
from unionfs.linux.files import sync_file_system
from unionfs.store.locks import Waiting, open_lock, take
from unionfs.store.unpacked import UnpackedLayers

_LOCK = b".lock"
_STAGING = b".staging"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LayerDirectory(UnpackedLayers):
    """An open directory of layers, locked against others; a context manager."""

    def __init__(self, path: Path, waiting: Waiting = lambda _: None) -> None:
        """Open *path*, made if it isn't there, wait for the lock, and sweep what a killed process left.

        Raises:
            OSError: it can't be made, read or written; the error names it.
        """
        path = path.absolute()
        self.warnings: list[str] = []
        made = _make(path)
        with ExitStack() as opening:
            super().__init__(path, os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            opening.callback(os.close, self.fd)
            with self._naming(_LOCK):
                lock = open_lock(_LOCK, self.fd)
                opening.callback(os.close, lock)
                take(lock, waiting)
            if not made:
                self._protect()
            self._sweep()
            with self._naming(_STAGING):
                os.mkdir(_STAGING, 0o700, dir_fd=self.fd)
                self._staging = os.open(_STAGING, _DIRECTORY, dir_fd=self.fd)
            opening.callback(os.close, self._staging)
            self._descriptors = opening.pop_all()

    def _protect(self) -> None:
        """Close a directory that was empty to others; leave one in use as it is, with a warning."""
        found = os.fstat(self.fd)
        if not stat.S_IMODE(found.st_mode) & 0o077:
            return
        if os.listdir(self.fd) == [os.fsdecode(_LOCK)] and found.st_uid == os.geteuid():
            os.fchmod(self.fd, 0o700)
            return
        may, danger = "enter", "layers can hold set-id programs"
        if found.st_mode & 0o022:
            may, danger = "write to", "what is taken for a layer may be theirs"
        self.warnings.append(
            f"{self.path}: others may {may} this directory (its mode is {stat.S_IMODE(found.st_mode):04o}), "
            f"and {danger}; chmod 0700 keeps them out"
        )

    def stage(self, name: bytes) -> Staging:
        """Open the staging directory of the layer *name*, made if need be."""
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self._staging)
        return Staging(os.open(name, _DIRECTORY, dir_fd=self._staging))

    def staged_root(self, name: bytes, descriptors: Descriptors) -> Directory:
        """Give the root of the layer *name* that is still in staging."""
        return self.top(descriptors).child(_STAGING).child(name).child(ROOT)

    def publish(self, names: Iterable[bytes]) -> None:
        """Give staged layers their names, after everything in them was written to the disk.

        Raises:
            OSError: writing failed; those that have their names are complete.
        """
        with self._naming(b""):
            sync_file_system(self.fd)
            for name in names:
                os.rename(name + b"/" + ROOT, name, src_dir_fd=self._staging, dst_dir_fd=self.fd)
            os.fsync(self.fd)

    def remove(self, name: bytes) -> None:
        """Remove the layer *name*: its name first, at once, and then what it consists of.

        Raises:
            OSError: it isn't there, or can't be removed.
        """
        with self._naming(name):
            os.rename(name, name, src_dir_fd=self.fd, dst_dir_fd=self._staging)
            os.fsync(self.fd)
            remove_tree(self._staging, name)

    def _sweep(self) -> None:
        with self._naming(_STAGING), suppress(FileNotFoundError):
            remove_tree(self.fd, _STAGING)

    @contextmanager
    def _naming(self, name: bytes) -> Iterator[None]:
        """Let an error name *name* in the directory, or the directory itself, by its whole path."""
        try:
            yield
        except OSError as error:
            error.filename, error.filename2 = os.path.join(os.fsencode(self.path), name), None
            raise

    def close(self) -> None:
        """Remove what is still in staging, and release the lock."""
        try:
            self._sweep()
        finally:
            self._descriptors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _make(path: Path) -> bool:
    """Make the directory *path*, for its owner alone, and those above it; tell whether it was made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(0o700)
    except FileExistsError:
        return False
    return True
