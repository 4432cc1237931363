"""What can be kept of a layer in the directory that it is unpacked to, found by trying it there."""

import os
import stat

from unionfs.layer import abilities
from unionfs.layer.abilities import Abilities
from unionfs.layer.descriptors import MINIMUM, Descriptors
from unionfs.layer.directory import Directory, Tree

_PROBE = b"#probe-directory"


def probe(fd: int) -> Abilities:
    """Try, in the empty directory *fd*, what entries can be given; nothing is left behind.

    Owners count as settable only if a directory that was given away can still be filled: a process may have the right
    to change owners and not the one to pass over permissions.

    Raises:
        OSError: nothing can be written there.
    """
    tree = Tree(Descriptors(MINIMUM), os.fstat(fd).st_dev, position=0, confined=False)
    found = abilities.probe(Directory(tree, None, b"", fd), user_namespace=False, prefix_whiteouts=False)
    return found._replace(owners=found.owners and _can_fill_what_was_given_away(fd))


def _can_fill_what_was_given_away(fd: int) -> bool:
    os.mkdir(_PROBE, 0o700, dir_fd=fd)
    given = os.open(_PROBE, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    try:
        os.fchown(given, 1, 1)
        os.fchmod(given, 0)
        os.mknod(b"#probe", stat.S_IFREG | 0o600, dir_fd=given)
        os.unlink(b"#probe", dir_fd=given)
        os.utime(given, ns=(0, 0))
    except PermissionError:
        return False
    finally:
        os.close(given)
        os.rmdir(_PROBE, dir_fd=fd)
    return True
