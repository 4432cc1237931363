"""What the daemon gives up before it serves, and the limits it raises."""

import os
import resource

from unionfs.linux import process

NEEDED_CAPABILITIES = (
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "mknod",
    "setfcap",
    "sys_nice",  # giving way to whoever is answered, and taking its own place again
    "sys_admin",  # trusted.* attributes, and detaching the mount on a signal
)


def raise_descriptor_limit() -> None:
    """Raise RLIMIT_NOFILE to its hard limit, since every file in use is a descriptor here."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def harden(*, mounted_by_itself: bool) -> None:
    """Give up what serving doesn't need. Called once mounted, and before any thread is started.

    Capabilities and the I/O flag belong to a thread and pass to those it starts. A mount made through
    fusermount3 is also ended through it, so its daemon must keep the way to set-id programs.

    Raises:
        OSError: the kernel refused to take away a right.
    """
    os.umask(0)
    process.set_dumpable(False)
    _set_io_flusher()
    process.keep_capabilities(NEEDED_CAPABILITIES)
    if mounted_by_itself:
        process.set_no_new_privs()


def _set_io_flusher() -> None:
    try:
        process.set_io_flusher()
    except OSError:
        return  # Only a process with CAP_SYS_RESOURCE may, on Linux 5.6; serving is right without it.
