"""Which extended attributes that a tree shows mean the same elsewhere."""

from unionfs.layer.private_xattrs import is_private

_OF_THE_MACHINE = frozenset((b"security.selinux", b"security.ima", b"security.evm", b"system.nfs4_acl"))
"""What a policy or file system here says of a file, and nowhere else is true."""


def is_portable(name: bytes) -> bool:
    """Tell whether a copy keeps the attribute *name*.

    A program may have given a file in the tree a name by which layers mark their own (a mount shows that, and keeps it
    encoded); in a copy it would be such a mark.
    """
    return name not in _OF_THE_MACHINE and not is_private(name)
