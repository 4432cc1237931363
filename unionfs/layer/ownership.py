"""``override_stat``: owner, mode, type and device of an entry that doesn't have them itself.

Owns the attribute's text, ``uid:gid:mode:type`` with the mode in octal and ``file``, ``dir``, ``symlink``, ``pipe``,
``socket``, ``block-MAJOR-MINOR`` or ``char-MAJOR-MINOR`` as type (containers-storage, pkg/idtools). Read too are the
form without the type, fuse-overlayfs's ``blockMAJOR:MINOR``, its ids as signed numbers, and what a later version may
add behind a type.
"""

import os
import re
import stat
from enum import Enum
from typing import NamedTuple, Self

from unionfs.layer.attributes import Attributes

_TYPES = {
    b"file": stat.S_IFREG,
    b"dir": stat.S_IFDIR,
    b"symlink": stat.S_IFLNK,
    b"pipe": stat.S_IFIFO,
    b"socket": stat.S_IFSOCK,
    b"block": stat.S_IFBLK,
    b"char": stat.S_IFCHR,
}
_TYPE_NAMES = {bits: name for name, bits in _TYPES.items()}
_TEXT = re.compile(
    rb"(?P<uid>-[1-9][0-9]{0,9}|[0-9]{1,10}):(?P<gid>-[1-9][0-9]{0,9}|[0-9]{1,10}):(?P<mode>[0-7]{1,7})"
    rb"(?::(?:(?P<type>file|dir|symlink|pipe|socket)"
    rb"|(?P<device>block|char)[-:]*(?P<major>[0-9]{1,10})[-:](?P<minor>[0-9]{1,10}))(?:[-:].*)?)?",
    re.DOTALL,
)
# chown(2) says by it that an id stays, and fuse-overlayfs before 1.14 wrote it down.
_AS_IT_IS = 0xFFFFFFFF
# The kernel's device numbers have 12 and 20 bits (include/linux/kdev_t.h).
_MAX_MAJOR, _MAX_MINOR = 0xFFF, 0xFFFFF


# What a regular file may stand for: no file can be entered as a directory, nor read as a link.
_STOOD_FOR = (stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFBLK, stat.S_IFCHR)


class OverrideForm(Enum):
    """Which owners, permissions and devices an upper keeps in ``override_stat``.

    ``AS_NEEDED``: those that the entry itself can't have. ``NEVER``: none, so that what can't be set is an error.
    ``IGNORED``: none, and an owner that can't be set stays what it is (fuse-overlayfs where all owners are shown as
    one). ``USER`` and ``SECURITY``: all, in ``user.containers.`` or ``security.fuseoverlayfs.`` (its option
    ``xattr_permissions``).
    """

    AS_NEEDED = "as needed"
    NEVER = "never"
    IGNORED = "ignored"
    USER = "user"
    SECURITY = "security"

    @property
    def is_always(self) -> bool:
        """Whether the attribute is written even where the entry itself could show the same."""
        return self in (OverrideForm.USER, OverrideForm.SECURITY)


class Ownership(NamedTuple):
    """The owner, permission bits, type (0: that of the entry itself) and device that an entry shows.

    An id of 0xFFFFFFFF in what was read is that of the entry itself.
    """

    uid: int
    gid: int
    permissions: int
    type_bits: int = 0
    rdev: int = 0

    @classmethod
    def parse(cls, text: bytes) -> Self | None:
        """Read the attribute's value; what doesn't follow its grammar is None, and so has no effect."""
        match = _TEXT.fullmatch(text)
        if match is None:
            return None
        uid, gid = _id(match["uid"]), _id(match["gid"])
        if uid is None or gid is None:
            return None
        permissions = int(match["mode"], 8) & 0o7777
        name = match["type"] or match["device"]
        if name is None:
            return cls(uid, gid, permissions)
        major, minor = int(match["major"] or 0), int(match["minor"] or 0)
        if major > _MAX_MAJOR or minor > _MAX_MINOR:
            return None
        return cls(uid, gid, permissions, _TYPES[name], os.makedev(major, minor))

    @classmethod
    def of(cls, attributes: Attributes) -> Self:
        """Give the ownership that *attributes* show."""
        return cls(attributes.uid, attributes.gid, attributes.mode & 0o7777, attributes.type_bits, attributes.rdev)

    def text(self) -> bytes:
        """Give the attribute's value."""
        value = b"%d:%d:%04o" % (self.uid, self.gid, self.permissions)
        if not self.type_bits:
            return value
        value += b":" + _TYPE_NAMES[self.type_bits]
        if self.type_bits in (stat.S_IFBLK, stat.S_IFCHR):
            value += b"-%d-%d" % (os.major(self.rdev), os.minor(self.rdev))
        return value

    def apply(self, attributes: Attributes) -> None:
        """Make *attributes* show this ownership; only a regular file can stand for something else."""
        attributes.uid = attributes.uid if self.uid == _AS_IT_IS else self.uid
        attributes.gid = attributes.gid if self.gid == _AS_IT_IS else self.gid
        type_bits = attributes.type_bits
        if type_bits == stat.S_IFREG and self.type_bits in _STOOD_FOR:
            type_bits = self.type_bits
            attributes.rdev = self.rdev
        attributes.mode = type_bits | self.permissions


def _id(text: bytes) -> int | None:
    """Give a user or group id, which may have been written as a signed number of 32 bits; None for other numbers."""
    number = int(text)
    if text.startswith(b"-"):
        number += 1 << 32
        return number if number > 0x7FFFFFFF else None
    return number if number < _AS_IT_IS else None
