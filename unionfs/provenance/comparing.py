"""What is different between what two layers hold at one path."""

import stat
from typing import NamedTuple

from unionfs.layer.attributes import Attributes
from unionfs.layer.directory import SELF, Directory
from unionfs.layer.same_content import have_same_content
from unionfs.layer.unpack.lower_links import xattrs_shown


class Held(NamedTuple):
    """What a layer holds: in which directory, by which name, and whether it is a directory that hides what is below."""

    directory: Directory
    name: bytes
    attributes: Attributes
    is_opaque: bool


def examined(directory: Directory, name: bytes) -> Held:
    """Examine *name* in *directory*, or the directory itself.

    Raises:
        OSError: what reaching it gives.
    """
    attributes, marks = directory.examine(name)
    itself = directory if name == SELF else directory.child(name)
    return Held(directory, name, attributes, attributes.is_directory and itself.is_opaque(marks))


def differences(before: Held, now: Held) -> tuple[str, ...]:
    """Name what is different: ``type`` alone, or those that are of the names in ``compared``.

    Raises:
        OSError: one can't be read.
    """
    old, new = before.attributes, now.attributes
    if old.type_bits != new.type_bits:
        return ("type",)
    compared = {
        "content": new.is_regular and _content_differs(before, now),
        "target": stat.S_ISLNK(new.mode) and _target(before) != _target(now),
        "device": old.rdev != new.rdev,
        "mode": stat.S_IMODE(old.mode) != stat.S_IMODE(new.mode),
        "owner": (old.uid, old.gid) != (new.uid, new.gid),
        # What is put into a directory, or taken away, changes its time by the way.
        "time": old.mtime_ns != new.mtime_ns and not new.is_directory,
        "xattrs": xattrs_shown(before.directory, before.name) != xattrs_shown(now.directory, now.name),
    }
    return tuple(name for name, differs in compared.items() if differs)


def _target(link: Held) -> bytes:
    return link.directory.readlink(link.name)


def _content_differs(before: Held, now: Held) -> bool:
    if before.attributes.size != now.attributes.size:
        return True
    with before.directory.opened(before.name) as old, now.directory.opened(now.name) as new:
        return not have_same_content(old, new)
