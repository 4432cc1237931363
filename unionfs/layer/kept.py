"""Times and capabilities that outlast a change of the entry, even if the process is killed in the middle of it.

The times of a directory change with the names in it; those of a file with its content, which takes its capabilities
away as well. Owns the private mark that holds them meanwhile, and bringing back what a killed process left.
"""

import contextlib
import os
import re
from collections.abc import Iterator

from unionfs.layer import private_xattrs
from unionfs.layer.directory import SELF, Directory
from unionfs.layer.metadata import set_times
from unionfs.layer.walk import listing, walk
from unionfs.linux import xattrs

_TEXT = re.compile(rb"(-?[0-9]{1,20}):(-?[0-9]{1,20})(?::([0-9a-f]{1,200}))?")
_MARKS = (private_xattrs.TRUSTED + private_xattrs.KEPT, private_xattrs.USER + private_xattrs.KEPT)


@contextlib.contextmanager
def kept(namespace: bytes, directory: Directory, name: bytes = SELF) -> Iterator[None]:
    """Keep the times and the capabilities of the directory or regular file *name* over the block.

    *namespace* is the one of the upper's marks. A block within another one for the same entry changes nothing.

    Raises:
        OSError: the mark can't be written.
    """
    path = directory.path(name)
    mark = namespace + private_xattrs.KEPT
    if xattrs.get(path, mark) is not None:
        yield
        return
    xattrs.set_(path, mark, _text(directory.status(name), xattrs.get(path, private_xattrs.CAPABILITY)))
    try:
        yield
    finally:
        _restore(directory, name, mark)


def restore_all(root: Directory) -> None:
    """Bring back what is kept anywhere beneath *root*.

    Raises:
        OSError: the layer can't be read or changed.
    """
    for directory in walk(root):
        for name in (SELF, *(entry.name for entry in listing(directory) if entry.is_file(follow_symlinks=False))):
            present = directory.xattr_names(name)
            for mark in _MARKS:
                if mark in present:
                    _restore(directory, name, mark)


def _text(found: os.stat_result, capability: bytes | None) -> bytes:
    times = b"%d:%d" % (found.st_atime_ns, found.st_mtime_ns)
    return times if capability is None else times + b":" + capability.hex().encode()


def _restore(directory: Directory, name: bytes, mark: bytes) -> None:
    path = directory.path(name)
    match = _TEXT.fullmatch(xattrs.get(path, mark) or b"")
    if match is not None:
        atime_ns, mtime_ns, capability = match.groups()
        if capability is not None and xattrs.get(path, private_xattrs.CAPABILITY) is None:
            xattrs.set_(path, private_xattrs.CAPABILITY, bytes.fromhex(capability.decode()))
        set_times(directory, name, int(atime_ns), int(mtime_ns))
    xattrs.discard(path, mark)
