"""Whether a path shows the same in two trees.

Owns the order of the questions: what is one file in one layer is the same without being read, then attributes decide,
and content is read last.
"""

import stat
from collections.abc import Sequence

from unionfs.layer.attributes import Attributes
from unionfs.layer.same_content import have_same_content
from unionfs.union.inode import Identity, Place
from unionfs.view import View


def identity(place: Place) -> Identity:
    """Give what tells the entry at *place* from every other one on disk."""
    status = place.directory.status(place.name)
    return Identity(status.st_dev, status.st_ino)


def identities(places: Sequence[Place]) -> list[Identity]:
    """Give what tells a directory, as its parts in the layers, from every other one."""
    return [identity(place) for place in places]


def is_same_entry(before: View, now: View, path: bytes) -> bool:
    """Tell whether both trees have *path* from one entry of one layer."""
    return identity(before.places(path)[0]) == identity(now.places(path)[0])


def differs(before: View, now: View, path: bytes, *, times_of_directories: bool = False) -> bool:
    """Tell whether *path*, which is in both trees, shows something else; what is in a directory doesn't count.

    Raises:
        OSError: it can't be read.
    """
    old, new = before.attributes(path), now.attributes(path)
    if _compared(old) != _compared(new):
        return True
    if (times_of_directories or not new.is_directory) and old.mtime_ns != new.mtime_ns:
        return True
    if before.xattrs(path) != now.xattrs(path):
        return True
    if stat.S_ISLNK(new.mode):
        return before.readlink(path) != now.readlink(path)
    return new.is_regular and _content_differs(before, now, path)


def _compared(attributes: Attributes) -> tuple[int, ...]:
    """Give what has to be equal; of a directory the size is its file system's own affair."""
    size = 0 if attributes.is_directory else attributes.size
    return attributes.mode, attributes.uid, attributes.gid, attributes.rdev, size


def _content_differs(before: View, now: View, path: bytes) -> bool:
    with before.open(path) as old, now.open(path) as new:
        return not have_same_content(old.fileno(), new.fileno())
