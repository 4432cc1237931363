"""The working directory of an upper: where entries are staged before one rename puts them into place.

Owns ``WORKDIR/work`` (as overlayfs does, which empties it at mount, as we do), the marks of
``WORKDIR/work/incompat`` that say who may mount the upper again. Other things in WORKDIR are left alone;
``index`` owns what is kept of hard links.
"""

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Iterator

from unionfs.layer import acl
from unionfs.layer.directory import Directory
from unionfs.linux import xattrs

_log = logging.getLogger(__name__)
WORK = b"work"
INCOMPAT = b"incompat"
VOLATILE = b"volatile"
INDEX = b"unionfs-index"
KERNEL_INDEX = b"index"
FLATTENING = b"unionfs-flattening"
_KEPT = (INCOMPAT, INDEX, FLATTENING)


class WorkdirError(OSError):
    """The working directory says that the upper can't be mounted; ``strerror`` is the sentence to show."""


class Workdir:
    """The staging directory of one mounted upper."""

    def __init__(self, root: Directory) -> None:
        self._root = root
        self.directory = root.child(WORK)
        self._serial = 0

    def close(self) -> None:
        """Close the root of the working directory."""
        self._root.close()

    def prepare(self, *, take_over_volatile: bool = False) -> None:
        """Check the marks, make ``work``, and sweep what an earlier mount left in it.

        Raises:
            WorkdirError: a mark says that the upper isn't to be mounted.
            OSError: nothing can be written.
        """
        if self._root.has(KERNEL_INDEX):
            raise WorkdirError(
                errno.EINVAL,
                "the upper was used by overlayfs with index=on, whose index is in 'index' of the workdir; "
                "mount it with overlayfs, or remove that directory to give up its hard links",
            )
        make_directory(self._root, WORK)
        for inherited in (acl.ACCESS, acl.DEFAULT):
            # One that WORKDIR hands down would be handed on to all that is staged.
            xattrs.discard(self.directory.path(), inherited)
        self._check_incompat(take_over_volatile=take_over_volatile)
        for entry in names(self.directory):
            if entry not in _KEPT:
                remove_tree(self.directory, entry)

    def _check_incompat(self, *, take_over_volatile: bool) -> None:
        if not self.directory.has(INCOMPAT):
            return
        marks = set(names(self.directory.child(INCOMPAT)))
        if unknown := b", ".join(sorted(marks - {VOLATILE})).decode(errors="backslashreplace"):
            raise WorkdirError(errno.EINVAL, f"the workdir has a mark that isn't known: incompat/{unknown}")
        if VOLATILE in marks and not take_over_volatile:
            raise WorkdirError(
                errno.EINVAL,
                "the upper was mounted volatile and not unmounted cleanly, so it may hold torn files; discard it, "
                "or remove 'work/incompat/volatile' of the workdir to use it all the same",
            )
        self.unmark_volatile()

    def mark_volatile(self) -> None:
        """Say that the upper is no longer synced, so that a crash may leave torn files."""
        make_directory(self.directory, INCOMPAT)
        make_directory(self.directory.child(INCOMPAT), VOLATILE)

    def unmark_volatile(self) -> None:
        """Take the mark back, after the upper was synced."""
        remove_tree(self.directory, INCOMPAT)

    @property
    def is_flattening(self) -> bool:
        """Whether the upper is being flattened, or was when a process was killed."""
        return self.directory.has(FLATTENING)

    def begin_flattening(self) -> None:
        """Say that what ``kept`` marks may stand in the upper."""
        make_directory(self.directory, FLATTENING)

    def end_flattening(self) -> None:
        """Say that no such mark is left."""
        remove_tree(self.directory, FLATTENING)

    def staged_name(self) -> bytes:
        """Give a name of ``work`` that isn't used; ``work`` was swept at mount and is ours alone."""
        self._serial += 1
        return b"#%x" % self._serial

    def discard(self, staged: bytes) -> None:
        """Remove *staged*, if it is there, with all beneath it.

        What can't be removed is logged: what had to be done is done, and the next mount sweeps the workdir.
        """
        try:
            remove_tree(self.directory, staged)
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("an entry stays in the workdir until the next mount: %s", error)

    @contextlib.contextmanager
    def discarding(self, staged: bytes, fd: int | None = None) -> Iterator[None]:
        """Remove *staged* when what is done with it fails, and close *fd*, if it is open."""
        try:
            yield
        except BaseException:
            if fd is not None:
                os.close(fd)
            self.discard(staged)
            raise


def remove_tree(directory: Directory, name: bytes) -> None:
    """Remove *name* and all beneath it.

    Raises:
        OSError: something in it can't be removed.
    """
    pending: list[tuple[Directory, bytes, Directory | None]] = [(directory, name, None)]
    while pending:
        parent, entry, emptied = pending.pop()
        if emptied is not None:
            parent.tree.descriptors.drop(emptied)
            os.rmdir(entry, dir_fd=parent.fd())
        elif not _unlinked(parent, entry):
            child = parent.child(entry)
            pending.append((parent, entry, child))
            pending += [(child, below, None) for below in names(child)]


def _unlinked(parent: Directory, name: bytes) -> bool:
    """Remove *name*, unless it is a directory."""
    try:
        os.unlink(name, dir_fd=parent.fd())
    except IsADirectoryError:
        return False
    return True


def names(directory: Directory) -> list[bytes]:
    """Give the raw names in *directory*."""
    with os.scandir(directory.path()) as listing:
        return [entry.name for entry in listing]


def make_directory(directory: Directory, name: bytes) -> None:
    """Make the directory *name*, unless it is there."""
    try:
        os.mkdir(name, 0o700, dir_fd=directory.fd())
    except FileExistsError:
        if not stat.S_ISDIR(directory.status(name).st_mode):
            raise
