"""A directory tree read into values that can be compared: once before, once after."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

_BLOCK = 1 << 20
SPARE_NUMBERS = 1 << 61
"""From here on inode numbers last as long as a mount: a new file has one where its own number is that of a removed file
which the kernel hasn't forgotten yet."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One name of a tree with all a user can see of it, but for the access time and the device number."""

    mode: int
    uid: int
    gid: int
    size: int
    nlink: int
    rdev: int
    ino: int
    mtime_ns: int
    ctime_ns: int
    xattrs: Mapping[str, bytes]
    content: str


Snapshot = Mapping[str, Entry]


def snapshot(directory: Path, *, skip_missing: bool = False) -> Snapshot:
    """Read ``directory`` and everything beneath it, keyed by path relative to it.

    Raises FileNotFoundError where a listed name isn't there, unless told to skip it.
    """
    return dict(_entries(directory, ".", skip_missing=skip_missing))


def _entries(directory: Path, path: str, *, skip_missing: bool) -> Iterator[tuple[str, Entry]]:
    if skip_missing and not os.path.lexists(directory / path):
        return
    found = os.lstat(directory / path)
    yield path, _entry(directory / path, found)
    if stat.S_ISDIR(found.st_mode):
        for name in sorted(os.listdir(directory / path)):
            inner = name if path == "." else f"{path}/{name}"
            yield from _entries(directory, inner, skip_missing=skip_missing)


def _entry(path: Path, found: os.stat_result) -> Entry:
    is_directory = stat.S_ISDIR(found.st_mode)
    return Entry(
        mode=found.st_mode,
        uid=found.st_uid,
        gid=found.st_gid,
        # The size and link count of a directory are the file system's own affair.
        size=0 if is_directory else found.st_size,
        nlink=0 if is_directory else found.st_nlink,
        rdev=found.st_rdev,
        ino=found.st_ino,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
        xattrs={
            name: os.getxattr(path, name, follow_symlinks=False)
            for name in sorted(os.listxattr(path, follow_symlinks=False))
        },
        content=_content(path, found.st_mode),
    )


def _content(path: Path, mode: int) -> str:
    if stat.S_ISLNK(mode):
        return os.readlink(path)
    if not stat.S_ISREG(mode):
        return ""
    # To look is not to change: the access time of a lower file tells whether a mount read it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOATIME)
    try:
        return _digest(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def _digest(descriptor: int, size: int) -> str:
    """Hash the blocks that aren't all zeros, with their places, so that a hole costs nothing."""
    digest = hashlib.sha256()
    position = 0
    while position < size:
        try:
            position = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break
        position -= position % _BLOCK
        block = os.pread(descriptor, _BLOCK, position)
        if block.strip(b"\0"):
            digest.update(b"%d:" % position + block)
        position += _BLOCK
    return digest.hexdigest()


def differences(before: Snapshot, after: Snapshot, ignoring: frozenset[str] = frozenset()) -> list[str]:
    """Name, one line each, what changed between two snapshots, but for the fields in ``ignoring``."""
    lines = [f"{path}: gone" for path in before.keys() - after.keys()]
    lines += [f"{path}: new" for path in after.keys() - before.keys()]
    compared = [field.name for field in fields(Entry) if field.name not in ignoring]
    for path in before.keys() & after.keys():
        for name in compared:
            old, new = getattr(before[path], name), getattr(after[path], name)
            if name == "ino" and max(old, new) >= SPARE_NUMBERS:
                continue
            if old != new:
                lines.append(f"{path}: {name} was {old!r}, is {new!r}")
    return sorted(lines)
