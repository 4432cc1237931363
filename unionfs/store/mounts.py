"""Which mounts use the store: a directory for each, locked by the process that serves it for as long as it does.

So a mount whose daemon was killed is told from one that goes on without asking anybody, and what it has left is swept.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from unionfs.image.strict_json import Fields, parse
from unionfs.layer.unpack import remove_tree
from unionfs.store.layout import MOUNTS, StoreLayout, write_synced
from unionfs.store.locks import open_lock, take_if_free
from unionfs.store.uppers import Upper, Use, make_directories

_RECORD = b"record"
_LOCK = b"lock"
_SKELETON = "skeleton"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class MountInUse:
    """A mount that is being served."""

    use: Use
    mountpoint: str
    upper: str
    """The name of its upper, empty where it has none with a name."""


class StoredMount:
    """The record of one mount, held by the process that serves it; a fork of it holds it too."""

    def __init__(self, path: Path, directory: int, name: bytes, lock: int, upper: Upper | None) -> None:
        self._path = path
        self._directory = directory
        self._name = name
        self._lock: int | None = lock
        self.upper = upper
        """The temporary upper that goes with it."""

    def make_skeleton(self, paths: Iterable[str]) -> Path:
        """Make a tree of empty directories, *paths* and those above them, which goes with the record; give its root."""
        skeleton = self._path / _SKELETON
        for directory in (skeleton, *(skeleton / path for path in paths)):
            directory.mkdir(parents=True, exist_ok=True)
        for directory in (skeleton, *skeleton.rglob("*")):
            # As a directory of a layer that has no entry looks, since a mount shows it.
            directory.chmod(0o755)
            os.utime(directory, (0, 0))
        return skeleton

    def end(self) -> None:
        """Remove the record, and the temporary upper with it, unless that was done."""
        if self._lock is None:
            return
        _remove(self._directory, self._name)
        os.close(self._lock)
        os.close(self._directory)
        self._lock = None


def _remove(directory: int, name: bytes) -> None:
    with suppress(FileNotFoundError):
        remove_tree(directory, name)


class Mounts:
    """The mounts of images of one store. The content lock is held by whoever calls."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout

    def begin(self, use: Use, mountpoint: str, *, upper: str = "", temporary_over: Path | None = None) -> StoredMount:
        """Record a mount before it is made, so that what it needs stays; others see the record whole and locked.

        *upper* is the name of the upper that it uses. *temporary_over*: it gets one of its own, over that layer.
        """
        aside, top = self._layout.aside(), self._layout.fd
        name = os.path.basename(aside)
        with ExitStack() as undo:
            directory = os.open(MOUNTS, _DIRECTORY, dir_fd=top)
            undo.callback(os.close, directory)
            os.mkdir(aside, 0o700, dir_fd=top)
            undo.callback(_remove, top, aside)
            lock = open_lock(os.path.join(aside, _LOCK), top)
            undo.callback(os.close, lock)
            if not take_if_free(lock):
                raise RuntimeError("the lock of a new mount is taken")
            path = self._layout.path / os.fsdecode(MOUNTS) / os.fsdecode(name)
            temporary = None
            if temporary_over is not None:
                make_directories(top, aside, temporary_over)
                temporary = Upper("", use, path)
            write_synced(top, os.path.join(aside, _RECORD), use.as_bytes(mountpoint=mountpoint, upper=upper))
            os.rename(aside, name, src_dir_fd=top, dst_dir_fd=directory)
            undo.pop_all()
        return StoredMount(path, directory, name, lock, temporary)

    def in_use(self) -> Iterator[MountInUse]:
        """Give the mounts that are served."""
        for name in self._names():
            # A mount ends without waiting for anybody.
            with suppress(FileNotFoundError):
                if not self._is_over(name):
                    yield self._read(name)

    def sweep(self) -> None:
        """Remove what mounts have left that are served no more. Nobody else uses the store."""
        directory = os.open(MOUNTS, _DIRECTORY, dir_fd=self._layout.fd)
        try:
            for name in self._names():
                if self._is_over(name):
                    _remove(directory, name)
        finally:
            os.close(directory)

    def _names(self) -> list[bytes]:
        return sorted(os.listdir(os.path.join(os.fsencode(self._layout.path), MOUNTS)))

    def _is_over(self, name: bytes) -> bool:
        try:
            lock = os.open(os.path.join(MOUNTS, name, _LOCK), os.O_RDWR | os.O_CLOEXEC, dir_fd=self._layout.fd)
        except FileNotFoundError:
            return True
        try:
            return take_if_free(lock)
        finally:
            os.close(lock)

    def _read(self, name: bytes) -> MountInUse:
        what = f"the record of the mount {os.fsdecode(name)}"
        content = self._layout.read(os.path.join(MOUNTS, name, _RECORD))
        fields = Fields(parse(content, what), what)
        return MountInUse(Use.read(content, what), fields.text("mountpoint") or "", fields.text("upper") or "")
