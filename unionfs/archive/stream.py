"""Readable streams: the base of those in this package, and a part of a file as one."""

import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK = 1 << 20
"""Bytes asked of a file at a time."""


class ByteStream(io.RawIOBase):
    """A binary stream that its subclass defines by ``_some`` alone; a read gives fewer bytes only if it must."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to ``size`` bytes, all that are left if it is negative, and none only at the end."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self._some(CHUNK), b""))
        return self._some(size) if size else b""

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill as much of ``buffer`` as one read gives; return how many bytes that were."""
        view = memoryview(buffer).cast("B")
        piece = self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def _some(self, size: int) -> bytes:
        """Return between 1 and ``size`` bytes, none only at the end; ``size`` is at least 1."""
        raise NotImplementedError


class Window(ByteStream):
    """``size`` bytes of a file from ``offset`` on, seekable.

    It reads with ``pread`` from a descriptor of its own, so that any number of windows on one file can be
    read at once, and each outlives the descriptor it was made from.
    """

    def __init__(self, descriptor: int, offset: int, size: int) -> None:
        self.size = size
        self._offset = offset
        self._position = 0
        self._descriptor = os.dup(descriptor)

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes from the window's start."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to ``offset`` from the window's start, the position or its end; raises ValueError below the start."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"position {base + offset} is before the start")
        self._position = base + offset
        return self._position

    def link(self, directory: int, path: bytes) -> bool:
        """Give the file behind the window the name *path*, if it has none and holds just this; tell whether it has.

        Raises:
            OSError: EXDEV where the directory is on another file system, and others of linkat(2).
        """
        status = os.fstat(self._descriptor)
        if status.st_nlink or self._offset or status.st_size != self.size:
            return False
        # linkat(2): AT_EMPTY_PATH would need CAP_DAC_READ_SEARCH.
        os.link(f"/proc/self/fd/{self._descriptor}", path, dst_dir_fd=directory, follow_symlinks=True)
        return True

    def close(self) -> None:
        """Close the window's own descriptor."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()

    def _some(self, size: int) -> bytes:
        if self.closed:
            raise ValueError("read of a closed stream")
        wanted = min(size, self.size - self._position)
        if wanted <= 0:
            return b""
        piece = os.pread(self._descriptor, wanted, self._offset + self._position)
        self._position += len(piece)
        return piece
