"""The attributes of an inode, as a mount shows them."""

import os
import stat


class Attributes:
    """What stat(2) tells, with times in nanoseconds since the epoch and sizes in bytes (blocks: 512 bytes)."""

    __slots__ = (
        "atime_ns", "blksize", "blocks", "ctime_ns", "dev", "gid", "ino", "mode", "mtime_ns", "nlink", "rdev",
        "size", "uid",
    )  # fmt: skip

    def __init__(self, found: os.stat_result) -> None:
        self.ino = found.st_ino
        self.dev = found.st_dev
        self.mode = found.st_mode
        self.nlink = found.st_nlink
        self.uid = found.st_uid
        self.gid = found.st_gid
        self.rdev = found.st_rdev
        self.size = found.st_size
        self.blksize = found.st_blksize
        self.blocks = found.st_blocks
        self.atime_ns = found.st_atime_ns
        self.mtime_ns = found.st_mtime_ns
        self.ctime_ns = found.st_ctime_ns

    @property
    def type_bits(self) -> int:
        """The file type, as ``stat.S_IFMT`` gives it."""
        return stat.S_IFMT(self.mode)

    @property
    def is_directory(self) -> bool:
        """Whether this is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_regular(self) -> bool:
        """Whether this is a regular file."""
        return stat.S_ISREG(self.mode)
