"""Setting on an inode what an archive says of it: owner, permissions, extended attributes, times.

Owns the order, which keeps set-id bits and capabilities (both are lost when the owner changes afterwards), and the
choice between real owners and ``override_stat``. An entry that can't have its real owner stays usable by the one who
unpacks: he may read and write it, and it has no set-id bits.
"""

import errno
import os
import stat
from collections.abc import Mapping

from unionfs.layer import acl, private_xattrs
from unionfs.layer.abilities import Abilities
from unionfs.layer.ownership import Ownership
from unionfs.layer.unpack.notes import Note, Notes
from unionfs.linux import xattrs
from unionfs.linux.files import descriptor_path
from unionfs.tar import printable

CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_TYPES_ON_DISK = (stat.S_IFREG, stat.S_IFDIR)
_OWN_FILE = 0o600
_OWN_DIRECTORY = 0o700
_TRUSTED = b"trusted."
_USER = b"user."
# Labels and lists of the system that the image was made on; they mean nothing here.
_HOST_ONLY = (b"security.selinux", b"system.nfs4_acl")
_NOT_SETTABLE = (errno.EPERM, errno.EACCES, errno.EINVAL, errno.EOPNOTSUPP, errno.E2BIG, errno.ERANGE)


class InodeWriter:
    """Gives inodes their metadata, in whatever form the target directory can keep."""

    def __init__(self, abilities: Abilities, notes: Notes) -> None:
        self._abilities = abilities
        self._notes = notes

    def write(self, fd: int, shown: Ownership, attributes: Mapping[bytes, bytes], name: bytes) -> None:
        """Give the open file or directory *fd*, made for the entry *name*, its owner, permissions and attributes.

        A file that is to show another type than it has stands for what couldn't be made.

        Raises:
            OSError: what the calls give, other than that an attribute of the archive can't be kept.
        """
        if self._abilities.owners and shown.type_bits in _TYPES_ON_DISK and self._take_owner(fd, shown):
            os.fchmod(fd, shown.permissions)
            if attributes:
                self._set_all(fd, attributes, name)
            return
        # Attributes first: an access list changes the permissions, which here are more than the archive says.
        if attributes:
            self._set_all(fd, attributes, name)
        own = _OWN_DIRECTORY if shown.type_bits == stat.S_IFDIR else _OWN_FILE
        os.fchmod(fd, shown.permissions & 0o1777 | own)
        self._override(fd, shown, name)

    def write_link(self, directory_fd: int, name: bytes, shown: Ownership, attributes: Mapping[bytes, bytes]) -> None:
        """Give the symbolic link *name* its owner, where that can be set, and its attributes."""
        if self._abilities.owners:
            try:
                os.chown(name, shown.uid, shown.gid, dir_fd=directory_fd, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _NOT_SETTABLE:
                    raise
                self._notes.add(Note.OWNERS, printable(name))
        if attributes:
            self._set_all(entry_path(directory_fd, name), attributes, name)

    def make_special(self, directory_fd: int, name: bytes, shown: Ownership, attributes: Mapping[bytes, bytes]) -> None:
        """Make the device or FIFO *name*, or an empty file that stands for it where it can't be made or owned.

        Raises:
            OSError: EEXIST, and what making it gives.
        """
        if self._abilities.owners and (self._abilities.devices or shown.type_bits == stat.S_IFIFO):
            os.mknod(name, shown.type_bits | 0o600, shown.rdev, dir_fd=directory_fd)
            xattrs.discard(entry_path(directory_fd, name), acl.ACCESS)  # inherited from the directory
            if self._give_away(directory_fd, name, shown):
                if attributes:
                    self._set_all(entry_path(directory_fd, name), attributes, name)
                return
            os.unlink(name, dir_fd=directory_fd)
        fd = os.open(name, CREATE, _OWN_FILE, dir_fd=directory_fd)
        try:
            xattrs.discard(fd, acl.ACCESS)
            self.write(fd, shown, self._those_of_special_files(attributes, name), name)
        finally:
            os.close(fd)

    def clear(self, fd: int) -> None:
        """Remove the attributes of the open directory *fd* that came from the archive, but for the layer's marks."""
        for attribute in xattrs.list_names(fd):
            if not private_xattrs.is_private(attribute) and attribute not in _HOST_ONLY:
                xattrs.discard(fd, attribute)

    def _take_owner(self, fd: int, shown: Ownership) -> bool:
        """Change the owner; False where this process may not, or its user namespace has no such id."""
        try:
            os.fchown(fd, shown.uid, shown.gid)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EINVAL):
                raise
            return False
        return True

    def _give_away(self, directory_fd: int, name: bytes, shown: Ownership) -> bool:
        # A device is never opened, and the descriptor makes sure that owner and permissions reach what was made.
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory_fd)
        try:
            path = descriptor_path(fd)
            os.chown(path, shown.uid, shown.gid)
            os.chmod(path, shown.permissions)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EINVAL):
                raise
            return False
        finally:
            os.close(fd)
        return True

    def _override(self, fd: int, shown: Ownership, name: bytes) -> None:
        if self._abilities.user_xattrs:
            xattrs.set_(fd, private_xattrs.OVERRIDE_STAT, shown.text())
        else:
            self._notes.add(Note.OWNERS, printable(name))

    def _those_of_special_files(self, attributes: Mapping[bytes, bytes], name: bytes) -> Mapping[bytes, bytes]:
        """Leave out what a device or FIFO can't have, though the file that stands for it could (xattr(7))."""
        refused = [attribute for attribute in attributes if attribute.startswith(_USER)]
        for attribute in refused:
            self._notes.add(Note.REFUSED, _shown(name, attribute, OSError(errno.EPERM, os.strerror(errno.EPERM))))
        return {attribute: value for attribute, value in attributes.items() if attribute not in refused}

    def _set_all(self, file: xattrs.File, attributes: Mapping[bytes, bytes], name: bytes) -> None:
        for attribute, value in attributes.items():
            if attribute in _HOST_ONLY:
                continue
            on_disk = private_xattrs.escape(attribute)
            if attribute.startswith(_TRUSTED) and on_disk == attribute:
                self._notes.add(Note.TRUSTED, _shown(name, attribute))
                continue
            try:
                xattrs.set_(file, on_disk, value)
            except OSError as error:
                if not _may_be_left_out(file, error):
                    raise
                self._notes.add(Note.REFUSED, _shown(name, attribute, error))


def entry_path(directory_fd: int, name: bytes) -> bytes:
    """Give a path to *name* in an open directory, for the calls that know no descriptor of a directory."""
    return b"/proc/self/fd/%d/%s" % (directory_fd, name)


def _may_be_left_out(file: xattrs.File, error: OSError) -> bool:
    """Tell whether the attribute is what is refused, and not the file system what is full or broken."""
    if error.errno == errno.ENOSPC:
        # ext4 says so too of an attribute larger than the place it has for them.
        parent = os.statvfs(file if isinstance(file, int) else os.path.dirname(file))
        return parent.f_bavail > 0 and parent.f_favail > 0
    return error.errno in _NOT_SETTABLE


def _shown(name: bytes, attribute: bytes, error: OSError | None = None) -> str:
    text = f"{printable(name)}: {printable(attribute)}"
    return text if error is None else f"{text}: {error.strerror}"
