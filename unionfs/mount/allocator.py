"""The memory allocator that a daemon wants.

CPython's own keeps memory in arenas of 1 MiB, each as a whole for as long as one object in it lives. After 100 000
inodes were known and forgotten again a daemon on it kept 40 % more than at its start, and 5 % on the C library's, which
gives back single pages; the difference in speed was within the noise.
"""

import os
import sys

_VARIABLE = "PYTHONMALLOC"


def restart_with_returning_allocator() -> None:
    """Start this program anew on the C library's allocator, unless it is, or its caller has chosen another."""
    if _VARIABLE in os.environ:
        return
    os.environ[_VARIABLE] = "malloc"
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this program itself
