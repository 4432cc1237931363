"""``user.containers.override_stat``: owner, mode, type and device of an entry whose owner couldn't be set.

Owns the attribute's text, ``uid:gid:mode:type`` with the mode in octal and ``file``, ``dir``, ``symlink``, ``pipe``,
``socket``, ``block-MAJOR-MINOR`` or ``char-MAJOR-MINOR`` as type (containers-storage, pkg/idtools); the older form
without the type is read too.
"""

import os
import re
import stat
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
    rb"(?P<uid>[0-9]{1,10}):(?P<gid>[0-9]{1,10}):(?P<mode>[0-7]{1,6})"
    rb"(?::(?P<type>file|dir|symlink|pipe|socket|(?:block|char)-(?P<major>[0-9]{1,10})-(?P<minor>[0-9]{1,10})))?"
)
_MAX_ID = 0xFFFFFFFE
# The kernel's device numbers have 12 and 20 bits (include/linux/kdev_t.h).
_MAX_MAJOR, _MAX_MINOR = 0xFFF, 0xFFFFF


class Ownership(NamedTuple):
    """The owner, permission bits, type (0: that of the entry itself) and device that an entry shows."""

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
        uid, gid = int(match["uid"]), int(match["gid"])
        if max(uid, gid) > _MAX_ID:
            return None
        name = match["type"]
        if name is None:
            return cls(uid, gid, int(match["mode"], 8) & 0o7777)
        major, minor = int(match["major"] or 0), int(match["minor"] or 0)
        if major > _MAX_MAJOR or minor > _MAX_MINOR:
            return None
        rdev = os.makedev(major, minor)
        return cls(uid, gid, int(match["mode"], 8) & 0o7777, _TYPES[name.split(b"-")[0]], rdev)

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
        """Make *attributes* show this ownership."""
        attributes.uid = self.uid
        attributes.gid = self.gid
        attributes.mode = (self.type_bits or attributes.type_bits) | self.permissions
        if self.type_bits in (stat.S_IFBLK, stat.S_IFCHR):
            attributes.rdev = self.rdev
