"""The directory that a mount is to cover: looked at before anything is opened or started."""

import os
from typing import NamedTuple

from unionfs.mount import table
from unionfs.mount.errors import MountError


class Mountpoint(NamedTuple):
    """A directory that was free to be mounted on when it was opened."""

    path: bytes
    """Absolute and free of symbolic links."""
    fd: int
    """The directory itself (O_PATH): the mount is made on it even if its path leads elsewhere by then."""


def open_mountpoint(path: bytes) -> Mountpoint:
    """Open the directory at *path*, after clearing a mount of ours whose daemon is gone.

    Raises:
        MountError: it is missing, isn't a directory, or is in use by a live mount of ours.
    """
    shown = os.fsdecode(path) or "''"
    try:
        resolved = table.resolve(path)
        _clear(resolved)
        fd = os.open(resolved, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise MountError(f"the mountpoint {shown} does not exist") from None
    except NotADirectoryError:
        raise MountError(f"the mountpoint {shown} is not a directory") from None
    except OSError as error:
        raise MountError(f"the mountpoint {shown}: {error.strerror}") from error
    return Mountpoint(resolved, fd)


def _clear(resolved: bytes) -> None:
    mount = table.mount_at(resolved, table.read_table())
    while mount is not None and mount.ours:
        if not table.is_dead(resolved):
            raise MountError(f"the mountpoint {os.fsdecode(resolved)} is busy: a unionfs is mounted there")
        table.unmount(resolved, lazy=True)
        mount = table.mount_at(resolved, table.read_table())
