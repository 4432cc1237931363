"""Writing whiteouts into an upper, each in the form that its file system can keep.

Owns how a whiteout is made; ``whiteout`` owns how it is read, and ``upper`` when one is written.
"""

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Iterator

from unionfs.layer import private_xattrs, whiteout
from unionfs.layer.abilities import Abilities, WhiteoutForm
from unionfs.layer.directory import SELF, Directory
from unionfs.layer.workdir import Workdir
from unionfs.linux import xattrs

_log = logging.getLogger(__name__)
_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Whiteouts:
    """Makes the whiteouts of one upper."""

    def __init__(self, workdir: Workdir, abilities: Abilities) -> None:
        self._workdir = workdir
        self._abilities = abilities

    def form_for(self, name: bytes) -> WhiteoutForm:
        """Give the form of *name*'s whiteout: a name may be too long for the spelling ``.wh.NAME``."""
        form = self._abilities.whiteouts
        if form is WhiteoutForm.PREFIX and not whiteout.fits_prefix(name):
            return WhiteoutForm.ATTRIBUTE
        return form

    def stage(self, parent: Directory) -> bytes:
        """Make one in the workdir that is to be put into *parent*, and give its name there.

        Raises:
            OSError: EOPNOTSUPP where the file system can keep none but ``.wh.`` files.
        """
        if self._abilities.whiteouts is not WhiteoutForm.DEVICE:
            return self.stage_in_attribute(parent)
        staged = self._workdir.staged_name()
        os.mknod(staged, stat.S_IFCHR, 0, dir_fd=self._workdir.directory.fd())
        return staged

    # In attribute form.

    def stage_in_attribute(self, parent: Directory) -> bytes:
        """Make one in attribute form in the workdir that is to be put into *parent*, and give its name there."""
        namespace = self.expect_attributes(parent)
        staged, work = self._workdir.staged_name(), self._workdir.directory
        touch(work, staged)
        with self._workdir.discarding(staged):
            xattrs.set_(work.path(staged), namespace + private_xattrs.WHITEOUT, b"y")
        return staged

    def expect_attributes(self, parent: Directory) -> bytes:
        """Say on *parent* that it holds whiteouts in attribute form; give the namespace in which they are marked."""
        namespace = self._abilities.namespace
        if namespace is None:
            raise OSError(errno.EOPNOTSUPP, "the upper's file system can't keep a whiteout for this name")
        if parent.xattr(SELF, namespace + private_xattrs.OPAQUE) not in (b"x", b"y"):
            xattrs.set_(parent.path(), namespace + private_xattrs.OPAQUE, b"x")
        return namespace

    # By the name .wh.NAME.

    @contextlib.contextmanager
    def prefixing(self, parent: Directory, name: bytes) -> Iterator[None]:
        """Write the ``.wh.`` file of *name* before the step that makes it true, and remove it when the step fails."""
        written = self.write_prefixed(parent, name)
        try:
            yield
        except OSError:
            if written:
                self.remove_prefixed(parent, name)
            raise

    @staticmethod
    def write_prefixed(parent: Directory, name: bytes) -> bool:
        """Write the ``.wh.`` file of *name*; tell whether it wasn't there."""
        try:
            touch(parent, whiteout.PREFIX + name)
        except FileExistsError:
            return False
        return True

    @staticmethod
    def remove_prefixed(parent: Directory, name: bytes) -> None:
        """Remove the ``.wh.`` file of what has come to stand beside it: it hides nothing any more, so it may fail."""
        try:
            if whiteout.fits_prefix(name) and parent.has(whiteout.PREFIX + name):
                os.unlink(whiteout.PREFIX + name, dir_fd=parent.fd())
        except OSError as error:
            _log.warning("a whiteout stays beside its own file: %s", error)


def touch(parent: Directory, name: bytes) -> None:
    """Make the empty file *name*.

    Raises:
        OSError: EEXIST where there is something.
    """
    os.close(os.open(name, _CREATE, 0o644, dir_fd=parent.fd()))
