"""Images in an OCI layout that is a directory: a new one, or one that has images already.

The index is written last, so that at any moment all it lists is there. Blobs go in by the image-spec's rule that
the name is the digest, so one that is there in its size is not written again.
"""

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from unionfs.archive.directory import Directory
from unionfs.archive.error import ArchiveError, naming
from unionfs.archive.files import read_document
from unionfs.archive.limits import DEFAULTS
from unionfs.archive.stream import CHUNK
from unionfs.archive.writing import documents
from unionfs.archive.writing.blobs import Blob, Copied
from unionfs.archive.writing.contents import Contents
from unionfs.archive.writing.replacing import replacing
from unionfs.image import layout as names

_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MODE = 0o777


def write_layout(path: str, contents: Contents, copied: Copied) -> None:
    """Add images to the layout at ``path``, or make one there, where there is nothing or an empty directory.

    Who else writes to it by this function is waited for. ``copied`` is told the bytes of each piece. Raises
    ArchiveError for a directory with anything else in it and for a damaged blob, and OSError; then what was
    written is taken away again.
    """
    with naming(path), ExitStack() as held, _undone_on_error() as undo:
        is_new = _made_directory(path, None)
        if is_new:
            undo.callback(_remove_directory, path, None)
        top = os.open(path, _ENTER)
        held.callback(os.close, top)
        fcntl.flock(top, fcntl.LOCK_EX)
        _Layout(top, path, held, undo).add(contents, copied)
        if is_new:
            _sync_directory(os.path.join(path, os.pardir))


@contextmanager
def _undone_on_error() -> Iterator[ExitStack]:
    """Give a stack that is unwound if an error, or an interruption, passes through here, and only then."""
    with ExitStack() as undo:
        yield undo
        undo.pop_all()


class _Layout:
    """An open layout that nobody else writes to; ``undo`` takes away what is made in it, ``held`` closes."""

    def __init__(self, top: int, path: str, held: ExitStack, undo: ExitStack) -> None:
        self._top = top
        self._path = path
        self._held = held
        self._undo = undo
        self._directories: dict[str, int] = {}

    def add(self, contents: Contents, copied: Copied) -> None:
        """Write blobs and index."""
        self._begin()
        # Read before anything is written, so that a broken index changes nothing.
        index = documents.extended_index(self._read(names.INDEX), contents)
        for blob in contents.blobs:
            self._store(blob, copied)
        for directory in (*self._directories.values(), self._top):
            os.fsync(directory)
        self._write(names.INDEX, index)
        os.fsync(self._top)

    def _begin(self) -> None:
        """See that this is a layout, if need be by making it one without images."""
        present = set(os.listdir(self._top))
        if names.MARKER in present:
            names.check_marker(self._read(names.MARKER))
        elif present:
            raise ArchiveError(f"it is a directory with other things in it and no {names.MARKER}")
        else:
            self._write_new(names.MARKER, documents.marker())
        # A layout without an index is what is left of one whose making was cut short.
        if names.INDEX not in present:
            self._write_new(names.INDEX, documents.index(Contents((), ())))

    def _read(self, name: str) -> bytes:
        files = Directory(self._top)
        try:
            return read_document(files, name, DEFAULTS, "manifest")
        finally:
            files.close()

    def _write_new(self, name: str, document: bytes) -> None:
        self._write(name, document)
        self._undo.callback(os.unlink, name, dir_fd=self._top)

    def _write(self, name: str, document: bytes) -> None:
        with replacing(self._top, name, os.path.join(self._path, name)) as file:
            file.write(document)

    def _store(self, blob: Blob, copied: Copied) -> None:
        """Write a blob, unless it is there."""
        directory = self._directory(f"blobs/{blob.digest.algorithm}")
        size = _size(directory, blob.digest.hex)
        if size == blob.size:
            copied(blob.size)
            return
        shown = os.path.join(self._path, names.blob_path(blob.digest))
        with replacing(directory, blob.digest.hex, shown) as file, blob.reading(copied) as content:
            shutil.copyfileobj(content, file, CHUNK)
        if size is None:
            self._undo.callback(os.unlink, blob.digest.hex, dir_fd=directory)

    def _directory(self, path: str) -> int:
        """Open a directory of the layout, which is made if it isn't there; a symbolic link could lead out of it."""
        if path not in self._directories:
            above, _, name = path.rpartition("/")
            parent = self._directory(above) if above else self._top
            if _made_directory(name, parent):
                self._undo.callback(_remove_directory, name, parent)
            try:
                opened = os.open(name, _ENTER | os.O_NOFOLLOW, dir_fd=parent)
            except OSError as error:
                if error.errno in (errno.ENOTDIR, errno.ELOOP):
                    raise ArchiveError(f"{path} is no directory") from None
                raise
            # What was made in a directory is undone before it is closed.
            self._held.callback(os.close, opened)
            self._directories[path] = opened
        return self._directories[path]


def _sync_directory(path: str) -> None:
    directory = os.open(path, _ENTER)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _made_directory(path: str, parent: int | None) -> bool:
    """Make a directory unless there is something of the name; tell whether it was made."""
    try:
        os.mkdir(path, _MODE, dir_fd=parent)
    except FileExistsError:
        return False
    return True


def _remove_directory(path: str, parent: int | None) -> None:
    """Take away a directory, unless somebody else has put something into it."""
    try:
        os.rmdir(path, dir_fd=parent)
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise


def _size(directory: int, name: str) -> int | None:
    """Return the size of a regular file, -1 if it is something else, None if there is none."""
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else -1
