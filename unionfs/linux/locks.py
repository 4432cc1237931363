"""Who holds a lock."""

import os

_LOCKS = "/proc/locks"
# The kernel gives its table page by page, and an entry can slip between two pages when others' locks end meanwhile.
_LOOKS = 3


def flock_holder(fd: int) -> int | None:
    """Give the id of the process that holds the flock(2) on the file behind *fd*.

    None where nobody does, or the kernel doesn't tell: on btrfs, or of a process outside this PID namespace.
    """
    found = os.fstat(fd)
    wanted = b"%02x:%02x:%d" % (os.major(found.st_dev), os.minor(found.st_dev), found.st_ino)
    looks = (_listed_holder(wanted) for _ in range(_LOOKS))
    return next((holder for holder in looks if holder is not None), None)


def _listed_holder(wanted: bytes) -> int | None:
    with open(_LOCKS, "rb") as locks:
        for line in locks:
            # proc(5): "1: FLOCK  ADVISORY  WRITE 3568 fd:00:2531452 0 EOF"; "->" marks one that waits.
            fields = line.split()
            if fields[1] == b"FLOCK" and fields[5] == wanted:
                return int(fields[4])
    return None
