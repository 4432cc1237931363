"""The error of writing a copy."""

from collections.abc import Iterator
from contextlib import contextmanager


class TargetError(OSError):
    """The copy can't be written; ``filename`` is a path of this machine."""


@contextmanager
def writing(path: bytes) -> Iterator[None]:
    """Let an error of writing *path* be a ``TargetError`` that names it."""
    try:
        yield
    except TargetError:
        raise
    except OSError as error:
        raise TargetError(error.errno, error.strerror, path) from error
