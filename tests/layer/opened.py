"""A lower, or an upper with its workdir, opened for one test and closed after it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unionfs.layer.descriptors import MINIMUM, Descriptors
from unionfs.layer.directory import Directory
from unionfs.layer.lower import open_lower
from unionfs.layer.open_upper import OpenedUpper, UpperOptions, open_upper
from unionfs.layer.upper import Upper


@contextmanager
def opened_lower(path: Path, *, position: int = 0, limit: int = MINIMUM) -> Iterator[Directory]:
    """Open *path* as a layer."""
    descriptors = Descriptors(limit)
    root = open_lower(os.fsencode(path), position, descriptors)
    try:
        yield root
    finally:
        descriptors.close()
        root.close()


@contextmanager
def opened(path: Path, options: UpperOptions | None = None) -> Iterator[OpenedUpper]:
    """Open *path*/upper and *path*/work, which are made where they aren't there, with no umask, as the daemon does."""
    umask = os.umask(0)
    for name in ("upper", "work"):
        (path / name).mkdir(exist_ok=True)
    descriptors = Descriptors(MINIMUM)
    found: OpenedUpper | None = None
    try:
        found = open_upper(
            os.fsencode(path / "upper"), os.fsencode(path / "work"), descriptors, options or UpperOptions()
        )
        yield found
    finally:
        os.umask(umask)
        descriptors.close()
        if found is not None:
            found.close()


@contextmanager
def opened_upper(path: Path, options: UpperOptions | None = None) -> Iterator[Upper]:
    """Open as ``opened`` does, and give the upper alone."""
    with opened(path, options) as found:
        yield found.upper
