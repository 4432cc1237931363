"""Owner, permissions, times and attributes of entries of an upper, in whichever form its file system can keep them.

Owns the choice between real owners and ``override_stat``. Where the attribute says what the mount shows, the entry
itself keeps permissions that let the daemon go on using it, and gives others no more than is shown.
"""

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Collection, Iterator

from unionfs.layer import private_xattrs
from unionfs.layer.abilities import Abilities
from unionfs.layer.attributes import Attributes
from unionfs.layer.directory import SELF, Directory
from unionfs.layer.ownership import OverrideForm, Ownership
from unionfs.layer.recording import Recording
from unionfs.linux import xattrs
from unionfs.linux.files import descriptor_path

_log = logging.getLogger(__name__)
_OWN_FILE = 0o600
_OWN_DIRECTORY = 0o700
# The types on which Linux allows user.* attributes; for the others override_stat can't be kept.
_WITH_ATTRIBUTES = (stat.S_IFREG, stat.S_IFDIR)


class Metadata:
    """Sets what an upper's entries show."""

    def __init__(self, abilities: Abilities, recording: Recording) -> None:
        self._abilities = abilities
        self._attribute = recording.attribute
        self._never = recording.form in (OverrideForm.NEVER, OverrideForm.IGNORED)
        self._ignores = recording.form is OverrideForm.IGNORED
        # Who may set no owner, and records none, is bound by the permissions that its own entries have.
        self._is_bound = self._never and not abilities.owners
        self._always = recording.form.is_always
        self._encodes = recording.form is OverrideForm.USER and recording.attribute == private_xattrs.OVERRIDE_STAT
        self._uid = os.geteuid()
        self._gid = os.getegid()

    @property
    def may_record(self) -> bool:
        """Whether there are owners or devices that are kept in ``override_stat``."""
        if self._always or self._never:
            return self._always
        return not (self._abilities.owners and self._abilities.devices) or self._abilities.ids is not None

    def is_natural(self, wanted: Ownership, *, inherited_gid: int | None = None) -> bool:
        """Tell whether an entry that this process just makes shows *wanted* by itself.

        *inherited_gid* is the group that a set-group-ID directory hands down.
        """
        gid = self._gid if inherited_gid is None else inherited_gid
        if (wanted.uid, wanted.gid) != (self._uid, gid):
            return False
        if self._always:
            return stat.S_ISLNK(wanted.type_bits)
        return self._abilities.owners or self._never or self.keeps_access(wanted)

    @staticmethod
    def keeps_access(wanted: Ownership) -> bool:
        """Tell whether the owner's own permissions let the daemon go on using the entry."""
        needed = _needed(wanted)
        return wanted.permissions & needed == needed and not wanted.permissions & 0o6000

    def until_whole(self, wanted: Ownership) -> Ownership:
        """Give what an entry is to show until it is filled and in its place, where *wanted* would keep it from that."""
        if not self._is_bound or wanted.type_bits not in _WITH_ATTRIBUTES:
            return wanted
        return wanted._replace(permissions=wanted.permissions | _needed(wanted))

    @contextlib.contextmanager
    def letting_in(self, directory: Directory) -> Iterator[None]:
        """Let an entry be put into *directory* for the block, though its permissions keep its owner from that."""
        found = directory.status() if self._is_bound else None
        if found is None or found.st_uid != self._uid or found.st_mode & _OWN_DIRECTORY == _OWN_DIRECTORY:
            yield
            return
        path, permissions = descriptor_path(directory.fd()), stat.S_IMODE(found.st_mode)
        os.chmod(path, permissions | _OWN_DIRECTORY)
        try:
            yield
        finally:
            os.chmod(path, permissions)

    def disk_mode(self, wanted: Ownership) -> int:
        """Give the permission bits that the entry itself gets."""
        if self.is_real(wanted):
            return wanted.permissions
        return wanted.permissions & 0o1777 | _needed(wanted)

    def disk_type(self, wanted: Ownership) -> int:
        """Give the type of the entry itself: an empty regular file stands for what can't be made or owned."""
        if self._never or wanted.type_bits in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            return wanted.type_bits
        if self._always:
            return stat.S_IFREG
        can_be_made = self._abilities.devices or wanted.type_bits not in (stat.S_IFCHR, stat.S_IFBLK)
        if can_be_made and (self._can_own(wanted) or self.is_natural(wanted)):
            return wanted.type_bits
        if not self._abilities.user_xattrs:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        return stat.S_IFREG

    def _can_own(self, wanted: Ownership) -> bool:
        """Tell whether an entry can be given the owner *wanted*, who may not exist in this user namespace."""
        ids = self._abilities.ids
        return self._abilities.owners and (ids is None or ids.has(wanted.uid, wanted.gid))

    def is_real(self, wanted: Ownership) -> bool:
        """Tell whether the entry itself is to be as *wanted*, with nothing in ``override_stat``.

        A symbolic link is, where it can be: Linux allows it no ``user.*`` attributes, and fuse-overlayfs reads none.
        """
        if self._never:
            return True
        if self._always and not stat.S_ISLNK(wanted.type_bits):
            return False
        return self._can_own(wanted) and self.disk_type(wanted) == wanted.type_bits

    def give(self, directory: Directory, name: bytes, wanted: Ownership) -> None:
        """Make the entry *name*, made by this process, show *wanted*.

        Raises:
            OSError: EPERM or EINVAL where neither the owner nor ``override_stat`` can be kept.
        """
        fd = directory.fd()
        if self.is_real(wanted):
            found = directory.status(name)
            if (found.st_uid, found.st_gid) != (wanted.uid, wanted.gid):
                self._give_away(fd, name, wanted.uid, wanted.gid)
                found = directory.status(name)
            if not stat.S_ISLNK(found.st_mode) and stat.S_IMODE(found.st_mode) != wanted.permissions:
                set_permissions(directory, name, wanted.permissions)
            return
        self._override(directory, name, wanted)

    def _give_away(self, directory_fd: int, name: bytes, uid: int, gid: int) -> None:
        """Set owner and group, -1 for what stays. What can't be set is an error, unless the upper's form ignores it."""
        try:
            os.chown(name, uid, gid, dir_fd=directory_fd, follow_symlinks=False)
        except OSError as error:
            # EINVAL is said of an owner who doesn't exist in this user namespace.
            if not self._never or error.errno not in (errno.EPERM, errno.EINVAL):
                raise
            if not self._ignores:
                raise OSError(errno.EPERM, os.strerror(errno.EPERM), name) from None

    def _override(self, directory: Directory, name: bytes, wanted: Ownership) -> None:
        found = directory.status(name)
        type_bits = stat.S_IFMT(found.st_mode)
        if type_bits == stat.S_IFLNK:
            return
        if type_bits not in _WITH_ATTRIBUTES:
            if stat.S_IMODE(found.st_mode) != wanted.permissions:
                set_permissions(directory, name, wanted.permissions)
            return
        before, mode = stat.S_IMODE(found.st_mode), self.disk_mode(wanted)
        if before != mode:
            set_permissions(directory, name, mode)
        shows_itself = not self._always and wanted[:4] == (found.st_uid, found.st_gid, mode, type_bits)
        try:
            self._record(directory, name, None if shows_itself else wanted)
        except OSError:
            if before != mode:
                set_permissions(directory, name, before)
            raise

    def _record(self, directory: Directory, name: bytes, wanted: Ownership | None) -> None:
        """Let ``override_stat`` say *wanted*, or nothing; of other names for it the one that counts goes last."""
        path = directory.path(name)
        if wanted is not None:
            if not (self._abilities.user_xattrs or self._always):
                raise OSError(errno.EPERM, os.strerror(errno.EPERM), name)
            xattrs.set_(path, self._attribute, wanted.text())
        present = directory.xattr_names(name)
        for attribute in reversed(private_xattrs.OVERRIDES):
            if attribute in present and (wanted is None or attribute != self._attribute):
                xattrs.remove(path, attribute)

    def change(
        self, directory: Directory, name: bytes, shown: Attributes, wanted: Ownership, *, chown: bool, chmod: bool
    ) -> None:
        """Make the entry *name*, which shows *shown*, show *wanted*; the flags say what was asked for.

        A chown goes through the kernel even where it changes no owner, since it clears set-id bits and capabilities
        (chown(2)); where owners are kept in an attribute that is done here.

        Raises:
            OSError: EPERM or EINVAL where it can't be kept.
        """
        if chown and not chmod and not shown.is_directory:
            wanted = wanted._replace(permissions=without_set_id(wanted.permissions))
        if self._is_kept_in_record(directory, name, wanted):
            self._override(directory, name, wanted)
            if chown and not shown.is_directory:
                _drop_capability(directory, name)
        elif self.is_recorded(directory, name):
            self._become_real(directory, name, shown, wanted)
        else:
            uid, gid = (wanted.uid, wanted.gid) if chown else (None, None)
            self.change_entry(directory, name, uid=uid, gid=gid, mode=wanted.permissions if chmod else None)

    def _is_kept_in_record(self, directory: Directory, name: bytes, wanted: Ownership) -> bool:
        """Tell whether ``override_stat`` is to say *wanted*: what has one stays usable where none is written anew."""
        if stat.S_IFMT(directory.status(name).st_mode) not in _WITH_ATTRIBUTES:
            return False
        if self._never:
            return not self._can_own(wanted) and self.is_recorded(directory, name)
        return not self.is_real(wanted)

    def change_entry(
        self, directory: Directory, name: bytes, *, uid: int | None, gid: int | None, mode: int | None
    ) -> None:
        """Change the owner, the group and the permission bits of the entry itself, None for what stays."""
        if uid is not None or gid is not None:
            self._give_away(directory.fd(), name, -1 if uid is None else uid, -1 if gid is None else gid)
        if mode is not None:
            set_permissions(directory, name, stat.S_IMODE(mode))

    @staticmethod
    def is_recorded(directory: Directory, name: bytes) -> bool:
        """Tell whether ``override_stat`` says what the entry shows."""
        return not set(private_xattrs.OVERRIDES).isdisjoint(directory.xattr_names(name))

    def _become_real(self, directory: Directory, name: bytes, shown: Attributes, wanted: Ownership) -> None:
        """Turn an entry that showed ``override_stat`` into one with that owner, where its type allows it."""
        if stat.S_IFMT(directory.status(name).st_mode) != shown.type_bits:
            self._record(directory, name, wanted)
            return
        os.chown(name, wanted.uid, wanted.gid, dir_fd=directory.fd(), follow_symlinks=False)
        set_permissions(directory, name, wanted.permissions)
        self._record(directory, name, None)

    def name_to_set(self, attribute: bytes, present: Collection[bytes]) -> bytes:
        """Give the name under which *attribute* of an entry is set that has those *present*."""
        encoded = private_xattrs.encoded(attribute)
        return encoded if encoded is not None and (self._encodes or encoded in present) else attribute

    def copy_xattrs(self, source: Directory, source_name: bytes, target: Directory, name: bytes) -> None:
        """Copy all attributes but the layer's own.

        An attribute that the upper's file system has no place for, or that this process may not set
        (``security.*`` and ``trusted.*`` without privilege), is left out, as overlayfs does it.
        """
        origin, path = source.path(source_name), b""
        for attribute in xattrs.list_names(origin):
            if private_xattrs.is_private(attribute):
                continue
            value = xattrs.get(origin, attribute)
            if value is None:
                continue
            path = path or target.path(name)
            try:
                xattrs.set_(path, self.name_to_set(attribute, ()), value)
            except OSError as error:
                if not _may_be_left_out(attribute, error):
                    raise


def _needed(wanted: Ownership) -> int:
    """Give the permissions without which its owner can't use an entry."""
    return _OWN_DIRECTORY if stat.S_ISDIR(wanted.type_bits) else _OWN_FILE


def without_set_id(permissions: int) -> int:
    """Give *permissions* as a change of content or owner leaves them (chown(2), write(2))."""
    permissions &= ~stat.S_ISUID
    return permissions & ~stat.S_ISGID if permissions & stat.S_IXGRP else permissions


def _drop_capability(directory: Directory, name: bytes) -> None:
    """Take the file's capabilities away, as the kernel does where they are what a change goes through."""
    for attribute in (private_xattrs.CAPABILITY, private_xattrs.ENCODED_CAPABILITY):
        if directory.xattr(name, attribute) is not None:
            xattrs.remove(directory.path(name), attribute)


def _may_be_left_out(attribute: bytes, error: OSError) -> bool:
    if error.errno == errno.EOPNOTSUPP:
        return True
    return error.errno == errno.EPERM and attribute.startswith((b"security.", b"trusted.", b"user."))


def set_permissions(directory: Directory, name: bytes, permissions: int) -> None:
    """Set the permission bits of *name*, which isn't followed where it became a symbolic link."""
    if directory.tree.confined:
        # The private clone of the mount follows no symbolic link.
        os.chmod(name, permissions, dir_fd=directory.fd())
        return
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory.fd())
    try:
        os.chmod(descriptor_path(fd), permissions)
    finally:
        os.close(fd)


def set_times(directory: Directory, name: bytes, atime_ns: int, mtime_ns: int) -> None:
    """Set both times of *name*, in nanoseconds since the epoch."""
    os.utime(name, ns=(atime_ns, mtime_ns), dir_fd=directory.fd(), follow_symlinks=False)


def keep_times(directory: Directory, before: os.stat_result) -> None:
    """Give *directory* back the times that it had, after a step that changes what is beneath but not what shows.

    The step is done, so that a failure is logged and nothing more.
    """
    try:
        set_times(directory, SELF, before.st_atime_ns, before.st_mtime_ns)
    except OSError as error:
        _log.warning("a directory has the time of a copy-up: %s", error)
