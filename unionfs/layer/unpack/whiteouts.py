"""Whiteouts and opaque marks of a layer that is being unpacked, in the form that its file system can keep.

Reading them back is the business of ``unionfs.layer.whiteout`` and ``unionfs.layer.marks``.
"""

import errno
import os
import stat
from contextlib import suppress

from unionfs.layer import private_xattrs
from unionfs.layer.abilities import Abilities, WhiteoutForm
from unionfs.layer.unpack.inode import CREATE, entry_path
from unionfs.layer.whiteout import OPAQUE_MARKER, PREFIX, fits_prefix, is_whiteout_device
from unionfs.linux import xattrs


class Whiteouts:
    """Writes, recognises and removes them."""

    def __init__(self, abilities: Abilities) -> None:
        self._form = abilities.whiteouts
        self._namespace = abilities.namespace

    def write(self, directory_fd: int, name: bytes) -> None:
        """Leave a whiteout at *name*, where nothing stands; its times are 0, so that two runs give the same.

        Raises:
            OSError: EEXIST, also of a whiteout that has the name itself, and EOPNOTSUPP where no form can be kept.
        """
        form = self._form_of(name)
        if form is WhiteoutForm.DEVICE:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=directory_fd)
            os.utime(name, ns=(0, 0), dir_fd=directory_fd, follow_symlinks=False)
        elif form is WhiteoutForm.PREFIX:
            if _is_there(directory_fd, name):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
            with suppress(FileExistsError):
                _touch(directory_fd, PREFIX + name)
        else:
            self._write_attribute(directory_fd, name)

    def stands(self, directory_fd: int, name: bytes, found: os.stat_result) -> bool:
        """Tell whether *found*, the status of what is at *name*, is a whiteout and not content."""
        if is_whiteout_device(found):
            return True
        if not stat.S_ISREG(found.st_mode) or self._form is WhiteoutForm.DEVICE or self._namespace is None:
            return False
        return xattrs.get(entry_path(directory_fd, name), self._namespace + private_xattrs.WHITEOUT) is not None

    def hidden_by(self, directory_fd: int, found: "os.DirEntry[bytes]") -> bytes | None:
        """Give the name that *found* in the directory is the whiteout of; None if it is content or a marker."""
        if found.name.startswith(PREFIX):
            return None if found.name == OPAQUE_MARKER else found.name[len(PREFIX) :]
        if found.is_symlink() or (self._form is WhiteoutForm.DEVICE and found.is_file(follow_symlinks=False)):
            return None
        status = os.stat(found.name, dir_fd=directory_fd, follow_symlinks=False)
        return found.name if self.stands(directory_fd, found.name, status) else None

    def hides(self, directory_fd: int, name: bytes) -> bool:
        """Tell whether nothing of the layers beneath shows under *name*, where this layer has no directory."""
        return _is_there(directory_fd, name) or self.has_prefixed(directory_fd, name)

    def has_prefixed(self, directory_fd: int, name: bytes) -> bool:
        """Tell whether a whiteout of *name* is a file of its own beside it."""
        return self._form is WhiteoutForm.PREFIX and fits_prefix(name) and _is_there(directory_fd, PREFIX + name)

    def lift_prefixed(self, directory_fd: int, name: bytes) -> bool:
        """Remove the whiteout of *name* that is a file of its own beside it; tell whether there was one."""
        if not self.has_prefixed(directory_fd, name):
            return False
        os.unlink(PREFIX + name, dir_fd=directory_fd)
        return True

    def remove(self, directory_fd: int, name: bytes) -> None:
        """Remove the whiteout of *name*."""
        if not self.lift_prefixed(directory_fd, name):
            os.unlink(name, dir_fd=directory_fd)

    def set_opaque(self, directory_fd: int) -> None:
        """Let nothing beneath the directory show through."""
        if self._namespace is not None:
            xattrs.set_(directory_fd, self._namespace + private_xattrs.OPAQUE, b"y")
            return
        with suppress(FileExistsError):
            _touch(directory_fd, OPAQUE_MARKER)

    def is_opaque(self, directory_fd: int) -> bool:
        """Tell whether the directory was made opaque."""
        if self._namespace is not None:
            return xattrs.get(directory_fd, self._namespace + private_xattrs.OPAQUE) == b"y"
        return _is_there(directory_fd, OPAQUE_MARKER)

    def _form_of(self, name: bytes) -> WhiteoutForm:
        if self._form is WhiteoutForm.PREFIX and not fits_prefix(name):
            return WhiteoutForm.ATTRIBUTE
        return self._form

    def _write_attribute(self, directory_fd: int, name: bytes) -> None:
        if self._namespace is None:
            raise OSError(errno.EOPNOTSUPP, "its whiteout can't be kept on this file system", name)
        if not self.is_opaque(directory_fd):
            # The value that lets overlayfs look for whiteouts in this form.
            xattrs.set_(directory_fd, self._namespace + private_xattrs.OPAQUE, b"x")
        _touch(directory_fd, name)
        xattrs.set_(entry_path(directory_fd, name), self._namespace + private_xattrs.WHITEOUT, b"y")


def _is_there(directory_fd: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _touch(directory_fd: int, name: bytes) -> None:
    fd = os.open(name, CREATE, 0o600, dir_fd=directory_fd)
    os.utime(fd, ns=(0, 0))
    os.close(fd)
