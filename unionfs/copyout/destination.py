"""Where a copy goes: the rules of ``docker cp`` for a destination that is there, and for one that isn't."""

import errno
import os
import stat
from typing import NamedTuple

from unionfs.copyout.error import TargetError, writing


class Destination(NamedTuple):
    """A directory of this machine, and the name in it; without a name what is copied is merged with the directory."""

    directory: bytes
    name: bytes | None


def destination(path: bytes, *, name: bytes, is_directory: bool) -> Destination:
    """Settle where something goes that is called *name*, empty where only what is in it is copied, for *path*.

    Links in *path* are the caller's own, and so are followed.

    Raises:
        TargetError: it can't go there.
    """
    with writing(path):
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return _new(path, is_directory=is_directory)
        if stat.S_ISDIR(found.st_mode):
            return Destination(path, name or None)
        if is_directory:
            raise OSError(errno.ENOTDIR, "a directory can't be copied over what is no directory")
        if path.endswith(b"/"):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is there, and neither a regular file nor a directory")
        return Destination(*os.path.split(os.path.realpath(path)))


def _new(path: bytes, *, is_directory: bool) -> Destination:
    """Settle for a path that isn't there: a directory is copied under that name."""
    if os.path.lexists(path):
        raise OSError(errno.ENOENT, "it is a symbolic link to something that isn't there")
    if path.endswith(b"/") and not is_directory:
        raise OSError(errno.ENOENT, "there is no such directory")
    above, name = os.path.split(path.rstrip(b"/"))
    above = above or b"."
    if name in (b".", b"..") or not os.path.isdir(above):
        raise TargetError(errno.ENOENT, "there is no such directory", above)
    return Destination(above, name)
