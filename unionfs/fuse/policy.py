"""What every transport answers alike.

Owns the timeouts, what a caller's privileges mean, and which errno an exception becomes.
"""

import errno
import logging

from unionfs.linux.process import has_capability

_log = logging.getLogger(__name__)

# The daemon is the only writer of the upper and the layers beneath don't change, so the kernel may keep names,
# absent names and attributes for as long as it likes. Ten years, in seconds: no timer of the kernel overflows.
TIMEOUT = 10.0 * 365 * 86400
NAME_MAX = 255
# How long after many inodes were forgotten their memory is given back, in seconds: by then the rest is forgotten too.
TIDY_DELAY = 1.0


def keeps_set_id(uid: int) -> bool:
    """Tell whether a write or truncation by *uid* leaves set-id bits alone, as with CAP_FSETID (write(2))."""
    return uid == 0


def holds_fsetid(pid: int) -> bool:
    """Tell whether the process *pid* holds CAP_FSETID, with which a change of content leaves set-id bits alone.

    The kernel gives 0 for a process of another pid namespace, of which nothing can be known.
    """
    return pid != 0 and has_capability("fsetid", pid)


def may_see_trusted(pid: int) -> bool:
    """Tell whether the process *pid* is shown ``trusted.*`` attributes, which the kernel doesn't filter for FUSE.

    The kernel gives 0 for a process of another pid namespace, of which nothing can be known.
    """
    return pid != 0 and has_capability("sys_admin", pid)


def may_find_room(error: Exception) -> bool:
    """Tell whether what failed with *error* is worth being done once more.

    Files that were removed take room until the kernel has said that it forgets them, which it may say after the
    request that found none.
    """
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def errno_of(error: Exception) -> int:
    """Give the errno that *error* becomes; what is no ``OSError`` is a fault of ours, and logged as one."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    _log.error("a request failed unexpectedly and was answered with EIO", exc_info=error)
    return errno.EIO
