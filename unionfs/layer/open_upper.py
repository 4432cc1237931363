"""Opening an upper and its workdir for one mount.

Owns what has to hold before anything is written: one file system and mount for both, nobody else using them, no mark
that forbids it.
"""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from typing import NamedTuple

from unionfs.layer.abilities import probe
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import Directory, Tree
from unionfs.layer.index import HardLinks
from unionfs.layer.kept import restore_all
from unionfs.layer.lower import clone_or_same, open_directory
from unionfs.layer.ownership import OverrideForm
from unionfs.layer.recording import settle
from unionfs.layer.upper import Form, Upper
from unionfs.layer.workdir import Workdir, WorkdirError
from unionfs.linux.files import descriptor_path, is_in_memory, reopen, sync_file_system
from unionfs.linux.locks import flock_holder
from unionfs.linux.mounts import mount_of
from unionfs.linux.resolve import openat2

_RETRY = 0.05


class UpperError(OSError):
    """The upper can't be used; ``strerror`` is the sentence to show."""


class UpperOptions(NamedTuple):
    """How an upper is used: unsynced (``volatile``), with ``user.overlay.`` marks, with ``.wh.`` whiteouts.

    ``marker_files``: a directory that becomes opaque gets the file ``.wh..wh..opq`` too. ``override``: what is kept in
    ``override_stat``. ``patience`` is for how many seconds another mount is waited for.
    """

    volatile: bool = False
    user_namespace: bool = False
    prefix_whiteouts: bool = False
    marker_files: bool = False
    override: OverrideForm = OverrideForm.AS_NEEDED
    take_over_volatile: bool = False
    patience: float = 10.0


class OpenedUpper:
    """An upper with the locks that keep others away from it; ``close`` gives them up."""

    def __init__(self, upper: Upper, locks: list[int], options: UpperOptions) -> None:
        self.upper = upper
        self._locks = locks
        self._options = options

    def finish(self) -> None:
        """After a clean end: have everything on the device; then what was volatile may be mounted again.

        The kernel passes no syncfs(2) on to the daemon of a FUSE mount, and unmounting syncs nothing beneath it.

        Raises:
            OSError: EIO and others of writing; a volatile upper stays marked.
        """
        sync_file_system(self._locks[0])
        if self._options.volatile:
            self.upper.workdir.unmark_volatile()

    def close(self) -> None:
        """Close both roots and give the upper up."""
        self.upper.root.close()
        self.upper.workdir.close()
        for lock in self._locks:
            os.close(lock)


def open_upper(upper: bytes, workdir: bytes, descriptors: Descriptors, options: UpperOptions) -> OpenedUpper:
    """Open *upper* and *workdir*, waiting for another mount to let go of them.

    Raises:
        UpperError: they can't be used together, or another mount holds them; the sentence names it.
        WorkdirError: a mark in the workdir forbids it.
        OSError: one isn't a directory, or nothing can be written.
    """
    with contextlib.ExitStack() as passing, contextlib.ExitStack() as kept:
        upper_fd = _closed_with(passing, open_directory(upper))
        work_fd = _closed_with(passing, open_directory(workdir))
        _check_places(upper_fd, work_fd)
        locks = [
            _closed_with(kept, _lock(fd, path, options.patience))
            for fd, path in ((upper_fd, upper), (work_fd, workdir))
        ]
        (root_fd, work_root_fd), confined = _confine(upper_fd, work_fd)
        device, in_memory = os.fstat(root_fd).st_dev, is_in_memory(root_fd)
        tree = Tree(descriptors, device, position=-1, confined=confined, in_memory=in_memory)
        root = Directory(tree, None, b"", _closed_with(kept, root_fd))
        work = Workdir(Directory(tree, None, b"", _closed_with(kept, work_root_fd)))
        _check_mount(root_fd, work_root_fd)
        with _naming(upper):
            _check_writable(root_fd)
        with _naming(workdir):
            work.prepare(take_over_volatile=options.take_over_volatile)
            abilities = probe(
                work.directory,
                user_namespace=options.user_namespace,
                prefix_whiteouts=options.prefix_whiteouts,
            )
        with _naming(upper):
            recording = settle(root, work.directory, options.override)
        if work.is_flattening:
            for tops in (root, work.directory):
                restore_all(tops)
            work.end_flattening()
        links = HardLinks(work)
        links.load()
        if options.volatile:
            work.mark_volatile()
        kept.pop_all()
    form = Form(recording, marker_files=options.marker_files)
    return OpenedUpper(Upper(root, work, links, abilities, form), locks, options)


def _closed_with(stack: contextlib.ExitStack, fd: int) -> int:
    stack.callback(os.close, fd)
    return fd


@contextlib.contextmanager
def _naming(path: bytes) -> Iterator[None]:
    """Let an error name the directory as the caller does; one that is a sentence names it itself."""
    try:
        yield
    except (UpperError, WorkdirError):
        raise
    except OSError as error:
        error.filename = path
        raise


def _check_writable(fd: int) -> None:
    """Refuse an upper in which this process can't make entries.

    Raises:
        OSError: EROFS on a read-only file system, EACCES for a directory of somebody else.
    """
    path = descriptor_path(fd)
    if not os.access(path, os.W_OK | os.X_OK, effective_ids=True):
        read_only = os.fstatvfs(fd).f_flag & os.ST_RDONLY
        number = errno.EROFS if read_only else errno.EACCES
        raise OSError(number, os.strerror(number))


def _real_path(fd: int) -> bytes:
    return os.readlink(b"/proc/self/fd/%d" % fd)


def _check_places(upper_fd: int, work_fd: int) -> None:
    upper, work = _real_path(upper_fd), _real_path(work_fd)
    if os.path.samestat(os.fstat(upper_fd), os.fstat(work_fd)):
        raise UpperError(errno.EINVAL, "upperdir and workdir are the same directory")
    for outer, inner, text in (
        (upper, work, "workdir is in upperdir"),
        (work, upper, "upperdir is in workdir"),
    ):
        if inner.startswith(outer.rstrip(b"/") + b"/"):
            raise UpperError(errno.EINVAL, f"{text}; they must be separate directories")
    if os.fstat(upper_fd).st_dev != os.fstat(work_fd).st_dev:
        raise UpperError(errno.EXDEV, "upperdir and workdir must be on the same file system")


def _check_mount(upper_fd: int, work_fd: int) -> None:
    """Refuse two mounts of one file system, between which nothing can be renamed."""
    if mount_of(upper_fd) != mount_of(work_fd):
        raise UpperError(errno.EXDEV, "upperdir and workdir must be on the same mount, not on two of one file system")


def _confine(upper_fd: int, work_fd: int) -> tuple[tuple[int, int], bool]:
    """Open both in one private clone of their mount, where allowed: renames between two clones would fail."""
    upper, work = _real_path(upper_fd), _real_path(work_fd)
    common = os.path.commonpath([upper, work])
    fd, confined = clone_or_same(open_directory(common), read_only=False)
    try:
        found = _reopen_in(fd, common, {upper: upper_fd, work: work_fd}) if confined else None
    finally:
        os.close(fd)
    return (found, True) if found else ((os.dup(upper_fd), os.dup(work_fd)), False)


def _reopen_in(clone: int, common: bytes, wanted: dict[bytes, int]) -> tuple[int, int] | None:
    """Open both directories in the *clone* of *common*; None where it doesn't hold them, as beneath another mount."""
    with contextlib.ExitStack() as opened:
        try:
            upper, work = (
                _closed_with(opened, openat2(clone, os.path.relpath(path, common), os.O_PATH | os.O_DIRECTORY))
                for path in wanted
            )
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EXDEV, errno.ENOTDIR):
                raise
            return None
        if all(os.path.samestat(os.fstat(a), os.fstat(b)) for a, b in zip((upper, work), wanted.values(), strict=True)):
            opened.pop_all()
            return upper, work
    return None


def _lock(fd: int, path: bytes, patience: float) -> int:
    """Take the directory for this mount alone; the lock ends with the descriptor."""
    with _naming(path):
        lock = reopen(fd, os.O_RDONLY | os.O_DIRECTORY)
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(_RETRY)
                continue
            holder = _holder(lock)
            os.close(lock)
            raise UpperError(
                errno.EBUSY,
                f"{os.fsdecode(path)} is in use by another mount{holder}; unmount that first",
            ) from None
        return lock


def _holder(fd: int) -> str:
    """Name the process that holds the lock on *fd*."""
    holder = flock_holder(fd)
    return "" if holder is None else f" (process {holder})"
