"""A tree that somebody changes while it is read, as an upper is that is mounted."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from unionfs.tar import printable

_VANISHED = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)


class ChangedError(Exception):
    """The tree changed while it was read, so that what was found is of no use; the text is one sentence."""


@contextmanager
def noticing_changes(path: bytes = b"") -> Iterator[None]:
    """Turn the error for what was there and has gone, at *path* or where the error says, into a ChangedError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _VANISHED:
            raise
        name = path or error.filename
        place = name.lstrip(b"/") if isinstance(name, bytes) else b""
        raise ChangedError(f"/{printable(place)} was changed while it was read") from error
