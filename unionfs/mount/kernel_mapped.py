"""Lowers on a mount that maps ids, where this program is asked to map the ids of the layers.

containers-storage before 1.46 (podman before 4.5) has the kernel map the ids of an image's layers for a container, by
idmapped mounts, and then has its mount program map them once more, so that nobody owned anything. Owns telling such
lowers, and the way to them past what the kernel maps: through the mount of another layer of the same file system, which
maps nothing.
"""

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence

from unionfs.linux.handles import file_handle, open_by_handle
from unionfs.linux.mounts import mount_of
from unionfs.mount import table

_IDMAPPED = "idmapped"
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_READABLE = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Without the right to open by handle, or on a file system that has none.
_NOT_ALLOWED = (errno.EPERM, errno.EOPNOTSUPP, errno.EOVERFLOW, errno.ESTALE)


@contextlib.contextmanager
def as_on_disk(lowers: Sequence[bytes], upper: bytes | None) -> Iterator[list[bytes]]:
    """Give paths, for the block, that lead to *lowers* with the ids on disk.

    Where the mounts of all layers map ids both mappings hold: then they are those of a container, of which nothing else
    is seen.

    Raises:
        OSError: a layer isn't there.
    """
    mapping = {mount.mount_id for mount in table.read_table() if _IDMAPPED in mount.options.split(",")}
    if not mapping:
        yield list(lowers)
        return
    mounts = {path: _mount_and_device(path) for path in (*lowers, *([] if upper is None else [upper]))}
    beside = {device: path for path, (mount, device) in mounts.items() if mount not in mapping}
    paths = list(lowers)
    with contextlib.ExitStack() as opened:
        for place, path in enumerate(lowers):
            mount, device = mounts[path]
            if mount in mapping and device in beside:
                paths[place] = _past(opened, path, beside[device]) or path
        yield paths


def _mount_and_device(path: bytes) -> tuple[int, int]:
    with _opened(path, _PLACE) as fd:
        return mount_of(fd), os.fstat(fd).st_dev


@contextlib.contextmanager
def _opened(path: bytes, flags: int) -> Iterator[int]:
    fd = os.open(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def _past(opened: contextlib.ExitStack, path: bytes, beside: bytes) -> bytes | None:
    """Give a path to the directory *path* through the mount of *beside*; None where nobody may go that way."""
    with _opened(path, _PLACE) as mapped, _opened(beside, _READABLE) as other:
        try:
            fd = open_by_handle(other, file_handle(mapped), _PLACE)
        except OSError as error:
            if error.errno not in _NOT_ALLOWED:
                raise
            return None
    opened.callback(os.close, fd)
    return b"/proc/self/fd/%d" % fd
