"""The index of hard links: what a lower file with several names became in the upper.

Owns ``WORKDIR/work/unionfs-index``. overlayfs without ``index=on`` breaks lower hard links at copy-up; here the first
copy-up of such a file links the upper file into the index under a key made of the lower's file handle, so that its
other names find it, also after a remount. Beside it a symbolic link holds three counts: how many names the
lower has, how many of them no longer show, and how many names the file has in the upper. The last lets a mount see that
somebody else (overlayfs, which doesn't know this index) changed the upper meanwhile; such an entry is dropped.

The index is in ``work``, which overlayfs empties when it mounts the same workdir.
"""

import contextlib
import errno
import logging
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from unionfs.layer.directory import Directory
from unionfs.layer.whiteout import NAME_MAX
from unionfs.layer.workdir import INDEX, Workdir, make_directory, names
from unionfs.linux.handles import file_handle

_log = logging.getLogger(__name__)
_COUNTS = b".counts"
# A key has 16 digits and a dash before it, and is the beginning of a file's name.
_LONGEST_HANDLE = NAME_MAX - 17 - len(_COUNTS)
_TEXT = re.compile(rb"([0-9]+):([0-9]+):([0-9]+)(?:,([0-9]+):([0-9]+))?")


class Counts(NamedTuple):
    """Of one file: the names that its lower has, those of them that no longer show, its names in the upper."""

    lower: int
    hidden: int
    upper: int

    @property
    def shown(self) -> int:
        """The link count that the mount shows."""
        return self.lower - self.hidden + self.upper


class HardLinks:
    """The index of one upper."""

    def __init__(self, workdir: Workdir) -> None:
        self._work = workdir
        self.directory = workdir.directory.child(INDEX)
        self._files: set[bytes] = set()
        self._counts: dict[bytes, Counts] = {}

    def load(self) -> None:
        """Read the index, and drop what doesn't fit the upper or has no name left.

        Raises:
            OSError: the index can't be read or mended.
        """
        make_directory(self._work.directory, INDEX)
        present = set(names(self.directory))
        for key in {name.removesuffix(_COUNTS) for name in present}:
            in_upper = self.directory.status(key).st_nlink - 1 if key in present else 0
            counts = self._read(key, in_upper) if key + _COUNTS in present else None
            if counts is not None and counts.shown > 0:
                self._counts[key] = counts
                if key in present:
                    self._files.add(key)
            else:
                for name in present & {key, key + _COUNTS}:
                    self._remove(name)

    def key(self, directory: Directory, name: bytes) -> bytes:
        """Give the key of the lower file *name*: its file system and its handle.

        Where there are no handles, or only long ones, it is the layer's place and the inode number. So it is too on a
        file system without an id, since that is one in user space: its handles are numbers that its daemon chose for
        the time it runs.
        """
        fd = directory.fd()
        system = os.fstatvfs(fd).f_fsid
        identity = _handle(fd, name) if system else None
        if identity is None:
            identity = b"ino-%x-%x" % (directory.tree.position, directory.status(name).st_ino)
        return b"%x-%s" % (system, identity)

    def __contains__(self, key: bytes) -> bool:
        return key in self._files

    def __bool__(self) -> bool:
        return bool(self._counts)

    def has_lower_names(self, key: bytes) -> bool:
        """Tell whether names of the lower file *key*, one of the index, still show that the upper doesn't hold."""
        counts = self._counts.get(key)
        return counts is not None and counts.lower > counts.hidden

    def with_lower_names(self) -> list[bytes]:
        """Give the keys of which names still show that the upper doesn't hold."""
        return [key for key in self._counts if self.has_lower_names(key)]

    def counts(self, key: bytes, lower: int) -> Counts:
        """Give the counts of the file *key*, whose lower has *lower* names."""
        return self._counts.get(key, Counts(lower, 0, 0))

    @contextlib.contextmanager
    def adopting(self, key: bytes, staged: bytes, lower: int) -> Iterator[None]:
        """Move the copied-up file *staged* of ``work`` into the index, and drop it where giving it a name fails."""
        self._write(key, self.counts(key, lower))
        os.rename(staged, key, src_dir_fd=self._work.directory.fd(), dst_dir_fd=self.directory.fd())
        self._files.add(key)
        try:
            yield
        except BaseException:
            # The lower file shows again, and the copy may be shorter.
            self._files.discard(key)
            self._discard(self.directory, key)
            raise

    @contextlib.contextmanager
    def change(self, key: bytes, lower: int, *, hidden: int = 0, upper: int = 0) -> Iterator[None]:
        """Add to the counts around the step that makes it true.

        While a step is under way the old counts and the new are kept, and the number of upper names tells after a
        crash which are true. Of a step that hides a lower name alone the old ones count then: the count shown is too
        high, and a file is kept for longer than it shows, but never is one dropped that does.

        What needs space is written before the step, so that nothing has changed where there is none.
        """
        old = self.counts(key, lower)
        new = Counts(lower, old.hidden + hidden, old.upper + upper)
        settled = self._stage(new)
        try:
            self._write(key, old, or_=new)
            yield
        except BaseException:
            self._discard(self._work.directory, settled)
            raise
        self._counts[key] = new
        try:
            self._put(settled, key)
        except OSError as error:
            _log.warning("the counts of a hard link stay as they were before its last change: %s", error)
            self._discard(self._work.directory, settled)

    def forget(self, key: bytes) -> None:
        """Drop what is kept of a file that has no name left."""
        if key in self._files:
            self._files.discard(key)
            self._discard(self.directory, key)
        if self._counts.pop(key, None) is not None:
            self._discard(self.directory, key + _COUNTS)

    def remove(self) -> None:
        """Give up the index, after which each name of the upper is what it is on disk."""
        for key in list(self._counts):
            self.forget(key)
        os.rmdir(INDEX, dir_fd=self._work.directory.fd())

    def _write(self, key: bytes, counts: Counts, *, or_: Counts | None = None) -> None:
        staged = self._stage(counts, or_=or_)
        try:
            self._put(staged, key)
        except OSError:
            self._discard(self._work.directory, staged)
            raise
        self._counts[key] = counts

    def _stage(self, counts: Counts, *, or_: Counts | None = None) -> bytes:
        text = b"%d:%d:%d" % counts + (b"" if or_ is None else b",%d:%d" % or_[1:])
        staged = self._work.staged_name()
        os.symlink(text, staged, dir_fd=self._work.directory.fd())
        return staged

    def _put(self, staged: bytes, key: bytes) -> None:
        work = self._work.directory.fd()
        os.rename(staged, key + _COUNTS, src_dir_fd=work, dst_dir_fd=self.directory.fd())

    def _read(self, key: bytes, in_upper: int) -> Counts | None:
        """Give the counts of *key*, or None when they don't say *in_upper* names."""
        match = _TEXT.fullmatch(self.directory.readlink(key + _COUNTS))
        if match is None:
            return None
        lower, *pairs = (int(count) for count in match.groups() if count is not None)
        for hidden, upper in zip(pairs[::2], pairs[1::2], strict=True):
            if upper == in_upper:
                return Counts(lower, hidden, upper)
        # A rename that leaves a whiteout in attribute form has both names for a moment; a crash there keeps both.
        return Counts(lower, hidden, in_upper) if in_upper > upper else None

    def _remove(self, name: bytes) -> None:
        os.unlink(name, dir_fd=self.directory.fd())

    @staticmethod
    def _discard(directory: Directory, name: bytes) -> None:
        """Remove what no longer counts; what stays is removed by the next mount."""
        try:
            os.unlink(name, dir_fd=directory.fd())
        except OSError as error:
            _log.warning("an entry of the index of hard links stays until the next mount: %s", error)


def _handle(directory_fd: int, name: bytes) -> bytes | None:
    """Give the file's handle in hexadecimal digits; None where there is none, or none that fits a key."""
    try:
        handle = file_handle(directory_fd, name).hex().encode()
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EOVERFLOW):
            raise
        return None
    return handle if len(handle) <= _LONGEST_HANDLE else None
