"""The store's directory: an OCI image layout, and how a file in it changes.

Owns the names in it, and that a file is written aside, reaches the disk and is renamed: what has its name is whole.
"""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from unionfs.image import layout as names
from unionfs.image.build import index_bytes
from unionfs.store.error import StoreError
from unionfs.store.locks import Waiting, held, open_lock, take_if_free

LAYERS = "layers"
UPPERS = b"uppers"
MOUNTS = b"mounts"
INGEST = b"ingest"
_CONTENT_LOCK = b".content.lock"
_INDEX_LOCK = b".index.lock"
_MARKER = json.dumps({"imageLayoutVersion": names.VERSION}).encode()
_BLOBS = "blobs/sha256"
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class StoreLayout:
    """The open directory of a store, for one thread; ``close`` closes it.

    Whoever adds content or reads it holds the content lock shared, and whoever removes content holds it alone; who
    holds it can take it again, but not alone what is shared. Names of images change under the index lock, which is
    never held for long.
    """

    def __init__(self, path: Path, waiting: Waiting = lambda _: None) -> None:
        """Open the store at *path*, made if it isn't there.

        Raises:
            StoreError: the directory holds something else, or a layout of another version.
            OSError: it can't be made, read or written.
        """
        self.path = path.absolute()
        self._waiting = waiting
        self._is_shared: bool | None = None
        self.path.mkdir(0o700, parents=True, exist_ok=True)
        self.fd = os.open(self.path, _OPEN)
        try:
            self._prepare()
        except BaseException:
            os.close(self.fd)
            raise

    def _prepare(self) -> None:
        found = set(os.listdir(self.fd))
        if names.MARKER not in found and found - {os.fsdecode(_INDEX_LOCK), os.fsdecode(_CONTENT_LOCK)} - _OWN:
            raise StoreError(f"{self.path} is not a store of images: it holds other files and no {names.MARKER}")
        if not {names.MARKER, names.INDEX, *_OWN} <= found:
            self._make()
        names.check_marker(self.read(os.fsencode(names.MARKER)))

    def _make(self) -> None:
        """Make what lacks; another process may be doing the same."""
        with self.sharing(), self.changing_names():
            for name in sorted(_OWN):
                _ensure_directory(self.fd, name)
            # The marker comes before what else is a layout's, by which alone nobody knows a store that is half made.
            self._ensure_file(names.MARKER, _MARKER)
            _ensure_directory(self.fd, _BLOBS)
            self._ensure_file(names.INDEX, index_bytes(()))

    def _ensure_file(self, name: str, content: bytes) -> None:
        if name not in os.listdir(self.fd):
            self.write(os.fsencode(name), content)

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """Keep others from removing content."""
        with self._holding_content(shared=True):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others from adding, reading or removing content. RuntimeError: this process is reading."""
        with self._holding_content(shared=False):
            yield

    @contextmanager
    def alone_if_free(self) -> Iterator[bool]:
        """Do as ``alone`` unless the content lock is held; tell whether that was so."""
        lock = open_lock(_CONTENT_LOCK, self.fd)
        try:
            yield take_if_free(lock)
        finally:
            os.close(lock)

    @property
    def holds_content(self) -> bool:
        """Whether the content lock is held here, shared or alone."""
        return self._is_shared is not None

    @contextmanager
    def _holding_content(self, *, shared: bool) -> Iterator[None]:
        if self._is_shared is not None:
            # Another open file would wait for this one's lock, and so for ever.
            if self._is_shared and not shared:
                raise RuntimeError(f"{self.path} is in use by this process")
            yield
            return
        with held(_CONTENT_LOCK, self.fd, self._waiting, shared=shared):
            self._is_shared = shared
            try:
                yield
            finally:
                self._is_shared = None

    @contextmanager
    def changing_names(self) -> Iterator[None]:
        """Keep others from changing which images there are, and what they are called."""
        with held(_INDEX_LOCK, self.fd, self._waiting):
            yield

    def read(self, path: bytes) -> bytes:
        """Return the whole of a small file."""
        with self._naming(path), open(os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.fd), "rb") as file:
            return file.read()

    def write(self, path: bytes, content: bytes) -> None:
        """Put a small file in the place of what has its name, at once, synced. The content lock is held."""
        aside = self.aside()
        with self._naming(path):
            try:
                write_synced(self.fd, aside, content)
                os.rename(aside, path, src_dir_fd=self.fd, dst_dir_fd=self.fd)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(aside, dir_fd=self.fd)
                raise
            self.sync_directory(os.path.dirname(path))

    def aside(self) -> bytes:
        """Give a name that nobody has, for what is in the making; what is left there is swept by whoever is alone."""
        return os.path.join(INGEST, secrets.token_hex(8).encode())

    def sync_directory(self, path: bytes) -> None:
        """Have the names in a directory reach the disk."""
        directory = os.open(path or b".", _OPEN, dir_fd=self.fd)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def close(self) -> None:
        """Close the directory."""
        os.close(self.fd)

    @contextmanager
    def _naming(self, path: bytes) -> Iterator[None]:
        """Let an error name *path* in the store by its whole path."""
        try:
            yield
        except OSError as error:
            error.filename, error.filename2 = os.path.join(os.fsencode(self.path), path), None
            raise


_OWN = {LAYERS, os.fsdecode(UPPERS), os.fsdecode(MOUNTS), os.fsdecode(INGEST)}


def write_synced(directory: int, path: bytes, content: bytes) -> None:
    """Write a new file, for its owner alone, to the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600, dir_fd=directory), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _ensure_directory(directory: int, path: str) -> None:
    """Make the directory *path* and those above it, for their owner alone."""
    parent = os.path.dirname(path)
    if parent:
        _ensure_directory(directory, parent)
    with suppress(FileExistsError):
        os.mkdir(path, 0o700, dir_fd=directory)
