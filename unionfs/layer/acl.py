"""POSIX access control lists as the attributes ``system.posix_acl_access`` and ``system.posix_acl_default`` hold them.

Owns the arithmetic between a list and permission bits that the kernel does for a file made in place, and that an entry
staged elsewhere needs done for it (acl(5), "OBJECT CREATION AND DEFAULT ACLs").
"""

import struct
from collections.abc import Callable, Iterable

ACCESS = b"system.posix_acl_access"
DEFAULT = b"system.posix_acl_default"
NAMES = (ACCESS, DEFAULT)
_VERSION = 2
_HEADER = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
Entry = tuple[int, int, int]


def parse(value: bytes) -> list[Entry]:
    """Give the entries (tag, permissions, id) of an attribute's value.

    Raises:
        ValueError: the value isn't an access control list of version 2.
    """
    body = value[_HEADER.size :]
    if len(value) < _HEADER.size or _HEADER.unpack_from(value)[0] != _VERSION or len(body) % _ENTRY.size:
        raise ValueError("not a POSIX access control list of version 2")
    return [(tag, permissions, id_) for tag, permissions, id_ in _ENTRY.iter_unpack(body)]


def permissions(value: bytes) -> int:
    """Give the nine permission bits that a file with the access list *value* has."""
    by_tag = {tag: bits for tag, bits, _ in parse(value)}
    group = by_tag.get(_MASK, by_tag.get(_GROUP_OBJ, 0))
    return by_tag.get(_USER_OBJ, 0) << 6 | group << 3 | by_tag.get(_OTHER, 0)


def inherit(default: bytes, mode: int) -> tuple[bytes | None, int]:
    """Give the access list and the permission bits of an entry made with *mode* in a directory with *default*.

    The list is None where the permission bits say it all.
    """
    entries = parse(default)
    limits = _by_tag(entries, mode)
    value = _pack((tag, bits & limits.get(tag, 7), id_) for tag, bits, id_ in entries)
    kept = mode & ~0o777 | permissions(value)
    extended = any(tag in (_USER, _GROUP, _MASK) for tag, _, _ in entries)
    return (value if extended else None), kept


def with_permissions(value: bytes, mode: int) -> bytes:
    """Give the access list *value* as it is after chmod(2) to *mode*."""
    entries = parse(value)
    new = _by_tag(entries, mode)
    return _pack((tag, new.get(tag, bits), id_) for tag, bits, id_ in entries)


def with_ids(value: bytes, uid: Callable[[int], int], gid: Callable[[int], int]) -> bytes:
    """Give the access list *value* with the ids that *uid* and *gid* make of those of the users and groups it names.

    Raises:
        ValueError: the value isn't an access control list of version 2.
    """
    changed = {_USER: uid, _GROUP: gid}
    return _pack((tag, bits, changed[tag](id_) if tag in changed else id_) for tag, bits, id_ in parse(value))


def _by_tag(entries: Iterable[Entry], mode: int) -> dict[int, int]:
    """Give what the permission bits *mode* mean for the three entries that they stand for."""
    group_class = _MASK if any(tag == _MASK for tag, _, _ in entries) else _GROUP_OBJ
    return {_USER_OBJ: mode >> 6 & 7, group_class: mode >> 3 & 7, _OTHER: mode & 7}


def _pack(entries: Iterable[Entry]) -> bytes:
    return _HEADER.pack(_VERSION) + b"".join(_ENTRY.pack(*entry) for entry in entries)
