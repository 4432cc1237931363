"""What an archive says about one file."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Kind(enum.Enum):
    """The types of file that a tar entry can have on Linux."""

    FILE = "file"
    HARDLINK = "hard link"
    SYMLINK = "symbolic link"
    CHAR = "character device"
    BLOCK = "block device"
    DIR = "directory"
    FIFO = "fifo"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry with all extension headers applied; nothing about it has been cleaned or made safe."""

    name: bytes
    """Exactly as in the archive: may be absolute, empty, or hold ``.`` and ``..``; never a NUL."""
    kind: Kind
    mode: int
    """Permission bits, 0 to 0o7777."""
    uid: int
    """0 to 4294967294, as ``gid``."""
    gid: int
    size: int
    """Bytes of content as ``stat`` shows them, holes included; 0 for all but files."""
    mtime_ns: int
    """Nanoseconds since the epoch; negative before it."""
    atime_ns: int | None
    """Nanoseconds since the epoch, or None where the archive has no PAX ``atime``."""
    linkname: bytes
    """The target of a hard or symbolic link, exactly as in the archive; never a NUL."""
    devmajor: int
    """0 to 4095; 0 for all but devices."""
    devminor: int
    """0 to 1048575; 0 for all but devices."""
    xattrs: Mapping[bytes, bytes]
    """Extended attributes by full name (``user.x``, ``security.capability``), in the archive's order."""
    sparse: tuple[tuple[int, int], ...] | None
    """For a sparse file the (offset, length) of each extent that holds data, ascending; otherwise None."""
