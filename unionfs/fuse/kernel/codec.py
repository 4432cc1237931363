"""Bytes of the FUSE protocol to requests, and answers to bytes. No I/O.

Owns how each structure of ``abi`` is read and written. What a request means, and what is answered, is for the session.
"""

import errno
import os
from collections.abc import Iterator
from typing import NamedTuple, Self

from unionfs.fuse.id_mapping import IdMapping
from unionfs.fuse.kernel import abi
from unionfs.fuse.kernel.abi import Init, SetAttr
from unionfs.layer.attributes import Attributes

_NANOSECONDS = 1_000_000_000
_HEADER_SIZE = abi.IN_HEADER.size
_FLAGS_LOW = 0xFFFFFFFF
_DIRENT_ALIGNMENT = 8
# What follows a name, by its length modulo the alignment, which the fields before it keep.
_PADDING = tuple(bytes(-length % _DIRENT_ALIGNMENT) for length in range(_DIRENT_ALIGNMENT))


class ProtocolError(ValueError):
    """A message isn't what the protocol says."""


class Request(NamedTuple):
    """The header of a request, and the body that follows it."""

    opcode: int
    unique: int
    nodeid: int
    uid: int
    gid: int
    pid: int
    body: memoryview
    was_put_off: bool = False
    """Whether it was tried before, and is tried for the last time."""


def request(message: memoryview) -> Request:
    """Read the header of *message*.

    Raises:
        ProtocolError: it is cut short, or its length isn't the one that it says.
    """
    if len(message) < _HEADER_SIZE:
        raise ProtocolError(f"a request of {len(message)} bytes has no header")
    length, opcode, unique, nodeid, uid, gid, pid, extensions, _ = abi.IN_HEADER.unpack_from(message)
    end = length - extensions * 8
    if length != len(message) or end < _HEADER_SIZE:
        raise ProtocolError(f"a request of {len(message)} bytes says that it has {length}")
    return Request(opcode, unique, nodeid, uid, gid, pid, message[_HEADER_SIZE:end])


def name(body: memoryview, start: int = 0) -> bytes:
    """Give the only, NUL-terminated name in *body* from *start* on."""
    return bytes(body[start:-1])


def two_names(body: memoryview, start: int = 0) -> tuple[bytes, bytes]:
    """Give two NUL-terminated names in *body* from *start* on.

    Raises:
        ProtocolError: there is only one.
    """
    first, end, rest = bytes(body[start:]).partition(b"\0")
    if not end:
        raise ProtocolError("a name has no end")
    return first, rest[:-1]


# INIT.


class Offer(NamedTuple):
    """What the kernel speaks and offers."""

    major: int
    minor: int
    max_readahead: int
    flags: Init


def offer(body: memoryview) -> Offer:
    """Read the kernel's INIT."""
    major, minor, max_readahead, low = abi.INIT_IN.unpack_from(body)
    high = 0
    if low & Init.INIT_EXT and len(body) >= abi.INIT_IN.size + abi.INIT_IN_FLAGS2.size:
        (high,) = abi.INIT_IN_FLAGS2.unpack_from(body, abi.INIT_IN.size)
    return Offer(major, minor, max_readahead, Init(low | high << 32))


def init_reply(offered: Offer, flags: Init, *, max_write: int, page_size: int, max_stack_depth: int = 0) -> bytes:
    """Agree to *flags*, messages of up to *max_write* bytes and what the kernel reads ahead."""
    pages = (max_write + page_size - 1) // page_size
    minor = min(offered.minor, abi.MINOR)
    background, congestion = 64, 48
    return abi.INIT_OUT.pack(
        abi.MAJOR,
        minor,
        offered.max_readahead,
        flags & _FLAGS_LOW,
        background,
        congestion,
        max_write,
        1,  # the granularity of times, in nanoseconds
        pages,
        0,
        flags >> 32,
        max_stack_depth,
    )


# What changes.


# As plain integers: testing the flags of ``enum`` takes longer than changing an attribute.
_SIZE, _MODE, _UID, _GID, _ATIME, _MTIME, _ATIME_NOW, _MTIME_NOW = (
    flag.value
    for flag in (
        SetAttr.SIZE, SetAttr.MODE, SetAttr.UID, SetAttr.GID, SetAttr.ATIME, SetAttr.MTIME, SetAttr.ATIME_NOW,
        SetAttr.MTIME_NOW,
    )
)  # fmt: skip


def set_attr(body: memoryview, now_ns: int | None) -> tuple[int, dict[str, int]]:
    """Read SETATTR: its fields (``SetAttr``), and the new values by the names of ``union.changes.Change``.

    Where a time is to be the present one that is *now_ns*, or, without it, the kernel's own, which it sends along.
    """
    fields = abi.SETATTR_IN.unpack_from(body)
    valid, _, _, size, _, atime, mtime, _, atime_ns, mtime_ns, _, mode, _, uid, gid, _ = fields
    known = (
        (_SIZE, "size", size),
        (_MODE, "mode", mode),
        (_UID, "uid", uid),
        (_GID, "gid", gid),
        (_ATIME, "atime_ns", atime * _NANOSECONDS + atime_ns),
        (_MTIME, "mtime_ns", mtime * _NANOSECONDS + mtime_ns),
        (_ATIME_NOW, "atime_ns", now_ns),
        (_MTIME_NOW, "mtime_ns", now_ns),
    )
    return valid, {field: value for flag, field, value in known if valid & flag and value is not None}


def forgets(body: memoryview) -> Iterator[tuple[int, int]]:
    """Read BATCH_FORGET: inode numbers, and how many references to each are dropped."""
    count, _ = abi.BATCH_FORGET_IN.unpack_from(body)
    start = abi.BATCH_FORGET_IN.size
    yield from abi.FORGET_ONE.iter_unpack(body[start : start + count * abi.FORGET_ONE.size])


def device(encoded: int) -> int:
    """Give the device number that the kernel writes into 32 bits (new_encode_dev)."""
    return os.makedev(encoded >> 8 & 0xFFF, encoded & 0xFF | encoded >> 12 & 0xFFF00)


def _encoded_device(number: int) -> int:
    major, minor = os.major(number), os.minor(number)
    return (minor & 0xFF | major << 8 | (minor & ~0xFF) << 12) & 0xFFFFFFFF


# Answers.


class Validity(NamedTuple):
    """For how long the kernel may keep what it is told."""

    seconds: int
    nanoseconds: int

    @classmethod
    def of(cls, seconds: float) -> Self:
        """Round *seconds* down to nanoseconds."""
        return cls(int(seconds), int(seconds % 1 * _NANOSECONDS))


NOT_AT_ALL = Validity(0, 0)


def _attr_fields(shown: Attributes, ids: IdMapping | None) -> tuple[int, ...]:
    atime, atime_ns = divmod(shown.atime_ns, _NANOSECONDS)
    mtime, mtime_ns = divmod(shown.mtime_ns, _NANOSECONDS)
    ctime, ctime_ns = divmod(shown.ctime_ns, _NANOSECONDS)
    uid, gid = (shown.uid, shown.gid) if ids is None else ids.owners(shown.uid, shown.gid)
    return (
        shown.ino, shown.size, shown.blocks, atime, mtime, ctime, atime_ns, mtime_ns, ctime_ns, shown.mode,
        shown.nlink, uid, gid, _encoded_device(shown.rdev) if shown.rdev else 0, shown.blksize, 0,
    )  # fmt: skip


def entry_reply(shown: Attributes, valid: Validity, attr_valid: Validity, ids: IdMapping | None = None) -> bytes:
    """Answer with an inode: how long its name may be kept, and how long its attributes, with the owners by *ids*."""
    return abi.ENTRY_OUT.pack(
        shown.ino, 0, valid.seconds, attr_valid.seconds, valid.nanoseconds, attr_valid.nanoseconds,
        *_attr_fields(shown, ids),
    )  # fmt: skip


def absent_reply(valid: Validity) -> bytes:
    """Answer that a name is absent, and how long that may be remembered."""
    return abi.ENTRY_OUT.pack(0, 0, valid.seconds, 0, valid.nanoseconds, 0, *(0,) * 16)


def attr_reply(shown: Attributes, valid: Validity, ids: IdMapping | None = None) -> bytes:
    """Answer with attributes, the owners by *ids*, and how long they may be kept."""
    return abi.ATTR_OUT.pack(*valid, 0, *_attr_fields(shown, ids))


def statx_reply(shown: Attributes, birth_ns: int | None, valid: Validity, ids: IdMapping | None = None) -> bytes:
    """Answer STATX with all that stat(2) tells, and when the inode was made where that is known."""
    mask = abi.STATX_BASIC_STATS if birth_ns is None else abi.STATX_BASIC_STATS | abi.STATX_BTIME
    times = (shown.atime_ns, birth_ns or 0, shown.ctime_ns, shown.mtime_ns)
    uid, gid = (shown.uid, shown.gid) if ids is None else ids.owners(shown.uid, shown.gid)
    return abi.STATX_OUT.pack(
        *valid, 0, mask, shown.blksize, 0, shown.nlink, uid, gid, shown.mode, 0, shown.ino, shown.size,
        shown.blocks, 0, *(part for time_ns in times for part in (*divmod(time_ns, _NANOSECONDS), 0)),
        os.major(shown.rdev), os.minor(shown.rdev), 0, 0,
    )  # fmt: skip


def ioctl_reply(value: bytes, size: int) -> bytes:
    """Answer IOCTL with *value*, for which there is room of *size* bytes: no more is written to the caller's memory."""
    return abi.IOCTL_OUT.pack(0, 0, 0, 0) + value[:size]


def statfs_reply(found: os.statvfs_result, name_max: int) -> bytes:
    """Answer STATFS."""
    return abi.STATFS_OUT.pack(
        found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree, found.f_bsize, name_max,
        found.f_frsize, 0,
    )  # fmt: skip


def sized_reply(value: bytes, size: int) -> bytes:
    """Answer GETXATTR or LISTXATTR: the value, or, where the caller asks with size 0, its length.

    Raises:
        OSError: ERANGE where the value is longer than *size*.
    """
    if size == 0:
        return abi.GETXATTR_OUT.pack(len(value), 0)
    if len(value) > size:
        raise OSError(errno.ERANGE, os.strerror(errno.ERANGE))
    return value


def dirent(number: int, cookie: int, kind: int, entry_name: bytes) -> bytes:
    """Give one record of READDIR; *cookie* is where a listing goes on behind it."""
    length = len(entry_name)
    return abi.DIRENT.pack(number, cookie, length, kind) + entry_name + _PADDING[length % _DIRENT_ALIGNMENT]


def answer_header(unique: int, length: int, error: int = 0) -> bytes:
    """Give the header of an answer whose body has *length* bytes; *error* is an errno."""
    return abi.OUT_HEADER.pack(abi.OUT_HEADER.size + length, -error, unique)
