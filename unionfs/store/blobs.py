"""The blobs of a store: content by digest, whole and verified, or not there.

The content lock is held by whoever calls.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from unionfs.archive import ArchiveError
from unionfs.archive.stream import CHUNK, Window
from unionfs.image import Descriptor, Digest, ImageError
from unionfs.image.layout import blob_path
from unionfs.store.layout import StoreLayout
from unionfs.tar.source import Stream

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class StagedBlob:
    """Content on its way in, in a file under a name of its own."""

    def __init__(self, fd: int, aside: bytes) -> None:
        self.fd = fd
        self.aside = aside

    @property
    def size(self) -> int:
        """Bytes that were written."""
        return os.fstat(self.fd).st_size

    def open(self) -> Window:
        """Return the content as a stream of its own."""
        return Window(self.fd, 0, self.size)

    def fill(self, content: Stream) -> None:
        """Append all of a stream.

        Raises:
            OSError: there is no room.
            ArchiveError: what reading it raises.
        """
        with open(self.fd, "ab", closefd=False) as file:
            while piece := content.read(CHUNK):
                file.write(piece)


class Blobs:
    """The directory ``blobs`` of a store."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout

    def has(self, blob: Descriptor) -> bool:
        """Tell whether the blob is there, in the size that it should have."""
        return self._has(blob.digest, blob.size)

    def open(self, digest: Digest) -> Window:
        """Return a blob as a stream.

        Raises:
            ArchiveError: it isn't there.
        """
        try:
            fd = os.open(_path(digest), _READ, dir_fd=self._layout.fd)
        except FileNotFoundError:
            raise ArchiveError(f"blob {digest} is missing") from None
        try:
            return Window(fd, 0, os.fstat(fd).st_size)
        finally:
            os.close(fd)

    @contextmanager
    def staging(self, content: Window | None = None) -> Iterator[StagedBlob]:
        """Give a file for a blob; unless it is kept, nothing stays of it.

        It is empty, or that of *content* itself, where that was spooled into the store's file system.
        """
        aside = self._layout.aside()
        is_there = content is not None and _link(content, self._layout.fd, aside)
        fd = os.open(aside, _OLD if is_there else _NEW, 0o600, dir_fd=self._layout.fd)
        try:
            yield StagedBlob(fd, aside)
        finally:
            os.close(fd)
            with suppress(FileNotFoundError):
                os.unlink(aside, dir_fd=self._layout.fd)

    def keep(self, staged: StagedBlob, digest: Digest) -> None:
        """Give content, verified to have this digest, its name, after it has reached the disk."""
        os.fsync(staged.fd)
        self._ensure_directory(digest)
        path = _path(digest)
        os.rename(staged.aside, path, src_dir_fd=self._layout.fd, dst_dir_fd=self._layout.fd)
        self._layout.sync_directory(os.path.dirname(path))

    def add(self, content: bytes, digest: Digest) -> None:
        """Keep a document that has this digest, unless it is there."""
        self._ensure_directory(digest)
        if not self._has(digest, len(content)):
            self._layout.write(_path(digest), content)

    def remove(self, digest: Digest) -> None:
        """Remove a blob. Nobody else uses the store."""
        os.unlink(_path(digest), dir_fd=self._layout.fd)

    def _has(self, digest: Digest, size: int) -> bool:
        try:
            return os.stat(_path(digest), dir_fd=self._layout.fd, follow_symlinks=False).st_size == size
        except FileNotFoundError:
            return False

    def _ensure_directory(self, digest: Digest) -> None:
        """Have a directory for the digest's algorithm."""
        with suppress(FileExistsError):
            os.mkdir(os.path.dirname(_path(digest)), 0o700, dir_fd=self._layout.fd)

    def __iter__(self) -> Iterator[tuple[Digest, int]]:
        """Give the digest and size of each blob. What isn't named by a digest is none."""
        directory = self._layout.path / "blobs"
        for algorithm in sorted(os.listdir(directory)):
            with os.scandir(directory / algorithm) as entries:
                for entry in entries:
                    with suppress(ImageError):
                        yield Digest(algorithm, entry.name), entry.stat(follow_symlinks=False).st_size


def _link(content: Window, directory: int, path: bytes) -> bool:
    try:
        return content.link(directory, path)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.ENOENT, errno.EPERM):
            raise
        return False


def _path(digest: Digest) -> bytes:
    return blob_path(digest).encode()
