"""Copying the content of a file: by reflink, by the kernel, or through memory; holes stay holes."""

import errno
import os

from unionfs.linux.files import clone_content

_UNSUPPORTED = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.EBADF)
_PIECE = 1 << 20


def copy_content(source: int, target: int, size: int) -> None:
    """Make *target*, an empty file or one of zeros, hold the first *size* bytes of *source*.

    A source that becomes shorter meanwhile leaves zeros at the end. A longer target stays as long as it is.

    Raises:
        OSError: ENOSPC, EIO and others of reading and writing.
    """
    if size == os.fstat(source).st_size:
        try:
            clone_content(source, target)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        else:
            return
    if os.fstat(target).st_size < size:
        os.ftruncate(target, size)
    position = 0
    while position < size:
        start, end = _next_data(source, position, size)
        _copy_range(source, target, start, end)
        position = max(end, position + 1)


def _next_data(source: int, position: int, size: int) -> tuple[int, int]:
    """Give the next range that holds data; all the rest where the file system doesn't tell."""
    try:
        start = os.lseek(source, position, os.SEEK_DATA)
        end = os.lseek(source, start, os.SEEK_HOLE)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size, size
        if error.errno != errno.EINVAL:
            raise
        return position, size
    return min(start, size), min(end, size)


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        copied = _copy_in_kernel(source, target, start, end)
        if copied == 0:
            copied = _copy_through_memory(source, target, start, min(_PIECE, end - start))
        if copied == 0:
            return
        start += copied


def _copy_in_kernel(source: int, target: int, start: int, end: int) -> int:
    """Give how much was copied; 0 where the kernel can't, or says 0 of a file that has more (until Linux 5.19)."""
    try:
        return os.copy_file_range(source, target, end - start, start, start)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return 0


def _copy_through_memory(source: int, target: int, start: int, size: int) -> int:
    piece = os.pread(source, size, start)
    written = 0
    while written < len(piece):
        written += os.pwrite(target, memoryview(piece)[written:], start + written)
    return written
