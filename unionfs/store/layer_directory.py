"""The directory that holds unpacked layers: ``sha256-<chain id>`` for each, and what is in the making.

Owns who may write (whoever holds the lock on ``.lock``), where layers are made (``.staging``, swept by the next holder)
and how one appears: everything it consists of reaches the disk before its name does.
"""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from unionfs.image import Digest
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import Directory, Tree
from unionfs.layer.unpack import ROOT, Staging, remove_tree
from unionfs.linux.files import sync_file_system
from unionfs.linux.locks import flock_holder

_LOCK = b".lock"
_STAGING = b".staging"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
EMPTY = b"empty"
"""The layer of an image that has none."""
_PATIENCE = 1.0
"""Seconds that the lock is waited for before somebody is told."""
_RETRY = 0.05

Waiting = Callable[[int | None], None]
"""Called when another process is waited for, with its id where that can be known."""


class LayerDirectory:
    """An open directory of layers, locked against others; a context manager."""

    def __init__(self, path: Path, waiting: Waiting = lambda _: None) -> None:
        """Open *path*, made if it isn't there, wait for the lock, and sweep what a killed process left.

        Raises:
            OSError: it can't be made, read or written; the error names it.
        """
        self.path = path.absolute()
        self.warnings: list[str] = []
        made = _make(self.path)
        with ExitStack() as opening:
            self.fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            opening.callback(os.close, self.fd)
            with self._naming(_LOCK):
                lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self.fd)
                opening.callback(os.close, lock)
                _take(lock, waiting)
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
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fsencode(self.path / os.fsdecode(name)))
        return True

    def path_of(self, name: bytes) -> Path:
        """Give the absolute path of the layer *name*."""
        return self.path / os.fsdecode(name)

    def stage(self, name: bytes) -> Staging:
        """Open the staging directory of the layer *name*, made if need be."""
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self._staging)
        return Staging(os.open(name, _DIRECTORY, dir_fd=self._staging))

    def root(self, name: bytes, descriptors: Descriptors, *, staged: bool) -> Directory:
        """Give the root of the layer *name*, which may still be in staging."""
        tree = Tree(descriptors, os.fstat(self.fd).st_dev, position=0, confined=False)
        top = Directory(tree, None, b"", self.fd)
        return top.child(_STAGING).child(name).child(ROOT) if staged else top.child(name)

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


def layer_name(chain_id: Digest) -> bytes:
    """Give the name of the layer with this chain id; it has no colon, which separates layers in ``lowerdir``."""
    return f"{chain_id.algorithm}-{chain_id.hex}".encode()


def _take(lock: int, waiting: Waiting) -> None:
    """Take the lock, however long another process has it."""
    told_at = time.monotonic() + _PATIENCE
    while time.monotonic() < told_at:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_RETRY)
    waiting(flock_holder(lock))
    fcntl.flock(lock, fcntl.LOCK_EX)


def _make(path: Path) -> bool:
    """Make the directory *path*, for its owner alone, and those above it; tell whether it was made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(0o700)
    except FileExistsError:
        return False
    return True
