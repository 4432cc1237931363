"""The system calls that rows need and Python doesn't offer, through the C library. Each raises OSError."""

import ctypes
import os
import struct
from dataclasses import dataclass
from pathlib import Path

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_EACCESS = 0x200
AT_SYMLINK_FOLLOW = 0x400

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
RENAME_WHITEOUT = 4

FALLOC_KEEP_SIZE = 1
FALLOC_PUNCH_HOLE = 2
FALLOC_COLLAPSE_RANGE = 8
FALLOC_ZERO_RANGE = 16
FALLOC_INSERT_RANGE = 32

STATX_BASIC_STATS = 0x7FF
STATX_BTIME = 0x800

_LIBC = ctypes.CDLL(None, use_errno=True)
for _name in ("getdents64", "tee", "lgetxattr", "llistxattr"):
    getattr(_LIBC, _name).restype = ctypes.c_ssize_t


def _checked(result: int, path: object = None) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), None if path is None else str(path))
    return result


def renameat2(old: Path, new: Path, flags: int) -> None:
    """Rename with ``RENAME_`` flags."""
    _checked(_LIBC.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags), old)


def link_descriptor(descriptor: int, new: Path) -> None:
    """Give the open file a name, by linkat(2) with AT_EMPTY_PATH."""
    _checked(_LIBC.linkat(descriptor, b"", AT_FDCWD, os.fsencode(new), AT_EMPTY_PATH), new)


def link_following(old: Path, new: Path) -> None:
    """Link what a symbolic link leads to, by linkat(2) with AT_SYMLINK_FOLLOW, which ``os.link`` doesn't give."""
    _checked(_LIBC.linkat(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), AT_SYMLINK_FOLLOW), new)


def access(path: Path, mode: int, flags: int = 0) -> None:
    """Ask faccessat(2), whose errno ``os.access`` drops."""
    _checked(_LIBC.faccessat(AT_FDCWD, os.fsencode(path), mode, flags), path)


def fallocate(descriptor: int, mode: int, offset: int, length: int) -> None:
    """Call fallocate(2) with a mode."""
    _checked(_LIBC.fallocate(descriptor, mode, ctypes.c_int64(offset), ctypes.c_int64(length)))


def tee(source: int, destination: int, length: int) -> int:
    """Duplicate pipe content."""
    return _checked(_LIBC.tee(source, destination, ctypes.c_size_t(length), 0))


def getxattr_size(path: Path, name: str, size: int) -> int:
    """Call lgetxattr(2) with a buffer of ``size`` bytes, where 0 asks for the value's length."""
    buffer = ctypes.create_string_buffer(max(size, 1))
    return _checked(_LIBC.lgetxattr(os.fsencode(path), os.fsencode(name), buffer, ctypes.c_size_t(size)), path)


def listxattr_size(path: Path, size: int) -> int:
    """Call llistxattr(2) with a buffer of ``size`` bytes, where 0 asks for the list's length."""
    buffer = ctypes.create_string_buffer(max(size, 1))
    return _checked(_LIBC.llistxattr(os.fsencode(path), buffer, ctypes.c_size_t(size)), path)


@dataclass(frozen=True)
class DirectoryEntry:
    """One record of getdents64(2)."""

    ino: int
    offset: int
    """Where lseek(2) goes on after this entry."""
    kind: int
    """A ``DT_`` number: ``st_mode >> 12``."""
    name: str


def getdents(descriptor: int, size: int = 32768) -> list[DirectoryEntry]:
    """Read one buffer of directory entries; none are left where the list is empty."""
    buffer = ctypes.create_string_buffer(size)
    filled = _checked(_LIBC.getdents64(descriptor, buffer, ctypes.c_size_t(size)))
    entries = []
    position = 0
    while position < filled:
        ino, offset, length, kind = struct.unpack_from("=QqHB", buffer, position)
        name = buffer.raw[position + 19 : position + length].split(b"\0", 1)[0]
        entries.append(DirectoryEntry(ino, offset, kind, os.fsdecode(name)))
        position += length
    return entries


def all_dents(descriptor: int, size: int = 32768) -> list[DirectoryEntry]:
    """Read the entries from the descriptor's position to the end."""
    entries = []
    while found := getdents(descriptor, size):
        entries += found
    return entries


@dataclass(frozen=True)
class Statx:
    """The part of struct statx that stat(2) doesn't have."""

    mask: int
    btime_ns: int


def statx(path: Path, mask: int) -> Statx:
    """Call statx(2) without following a link."""
    buffer = ctypes.create_string_buffer(256)
    nofollow = 0x100
    _checked(_LIBC.statx(AT_FDCWD, os.fsencode(path), nofollow, mask, buffer), path)
    seconds, nanoseconds = struct.unpack_from("=qI", buffer, 80)
    return Statx(struct.unpack_from("=I", buffer)[0], seconds * 10**9 + nanoseconds)


def statfs_type(path: Path) -> int:
    """Return the magic number that statfs(2) gives."""
    buffer = ctypes.create_string_buffer(256)
    _checked(_LIBC.statfs(os.fsencode(path), buffer), path)
    return int(struct.unpack_from("=q", buffer)[0])


def file_handle(path: Path) -> bytes:
    """Return the type and bytes of the file handle that name_to_handle_at(2) gives."""
    size = 128
    buffer = ctypes.create_string_buffer(struct.pack("=Ii", size, 0), 8 + size)
    mount = ctypes.c_int()
    _checked(_LIBC.name_to_handle_at(AT_FDCWD, os.fsencode(path), buffer, ctypes.byref(mount), 0), path)
    length = struct.unpack_from("=I", buffer)[0]
    return buffer.raw[4 : 8 + length]
