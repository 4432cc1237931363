"""POSIX ACLs as the bytes of their xattrs.

Sources: acl(5); linux/posix_acl_xattr.h.
"""

import struct
from collections.abc import Mapping

READ = 4
WRITE = 2
EXECUTE = 1

ACCESS = "system.posix_acl_access"
DEFAULT = "system.posix_acl_default"

_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 1, 2, 4, 8, 16, 32
_NO_ID = 0xFFFFFFFF


def acl(
    *,
    owner: int,
    group: int,
    other: int,
    users: Mapping[int, int] | None = None,
    groups: Mapping[int, int] | None = None,
    mask: int | None = None,
) -> bytes:
    """Return version 2 of the xattr, its entries in the order the kernel asks for."""
    entries = [(_USER_OBJ, owner, _NO_ID)]
    entries += [(_USER, permissions, uid) for uid, permissions in sorted((users or {}).items())]
    entries.append((_GROUP_OBJ, group, _NO_ID))
    entries += [(_GROUP, permissions, gid) for gid, permissions in sorted((groups or {}).items())]
    if mask is not None:
        entries.append((_MASK, mask, _NO_ID))
    entries.append((_OTHER, other, _NO_ID))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
