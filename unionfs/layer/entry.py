"""What a name is in one directory of a layer, once the layer's own encodings are decoded."""

import stat
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from unionfs.layer.directory import Directory


class Kind(IntEnum):
    """The type of an entry, numbered as the kernel's directory entries are (DT_REG and so on)."""

    UNKNOWN = 0
    FIFO = 1
    CHAR = 2
    DIR = 4
    BLOCK = 6
    FILE = 8
    SYMLINK = 10
    SOCKET = 12
    WHITEOUT = 14


class Entry(NamedTuple):
    """A name of a directory: its kind, its inode number on its own file system, and the layer's directory it is in."""

    kind: Kind
    inode: int
    directory: "Directory"


# Making a member of an ``enum`` from its value takes ten times as long as finding it here.
_KINDS = {kind << 12: kind for kind in Kind}


def kind_of_mode(mode: int) -> Kind:
    """Give the kind that the type bits of *mode* stand for."""
    return _KINDS[stat.S_IFMT(mode)]
