"""How a path leads to a name within the root, whatever the symbolic links of an image say.

Owns path resolution as after chroot(2): an absolute target starts at the root, and ``..`` doesn't leave it. A link is
text of the image here; what this machine has under such a name is never asked.
"""

import errno
import os
import stat
from collections.abc import Callable

MOST_LINKS = 40
"""As many as Linux follows in one path (path_resolution(7))."""


class Resolution:
    """The resolution of one path; *mode_of* and *target_of* tell what is at a path without links."""

    def __init__(self, path: bytes, mode_of: Callable[[bytes], int], target_of: Callable[[bytes], bytes]) -> None:
        self._path = path
        self._mode_of = mode_of
        self._target_of = target_of
        self._links = 0
        self._reached: list[bytes] = []
        self._in_directory = True

    def resolve(self, *, follow: bool) -> bytes:
        """Give the path without links, from the root and without a slash before it; with *follow* the last one too.

        Raises:
            OSError: ENOENT, ENOTDIR, ELOOP, and what reading gives; ENOTDIR, ELOOP and what reading gives.
        """
        pending = self._path.split(b"/")[::-1]
        while pending:
            component = pending.pop()
            if not self._in_directory:
                raise self._error(errno.ENOTDIR)
            if component == b"..":
                self._reached = self._reached[:-1]
            elif component not in (b"", b"."):
                pending += self._enter(component, follow=follow or bool(pending))
        return b"/".join(self._reached)

    def _enter(self, name: bytes, *, follow: bool) -> list[bytes]:
        """Go on to *name*; give the components to which it leads where it is a link, the last first."""
        here = b"/".join([*self._reached, name])
        mode = self._mode_of(here)
        if not stat.S_ISLNK(mode) or not follow:
            self._reached.append(name)
            self._in_directory = stat.S_ISDIR(mode)
            return []
        self._links += 1
        target = self._target_of(here)
        if self._links > MOST_LINKS:
            raise self._error(errno.ELOOP)
        if target.startswith(b"/"):
            self._reached = []
        return target.split(b"/")[::-1]

    def _error(self, number: int) -> OSError:
        return OSError(number, os.strerror(number))
