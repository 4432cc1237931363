"""Copying a part of a tree out to a directory of this machine, as ``docker cp`` does.

Owns where the copy goes, and that nothing is written anywhere else: whatever names and links an image brings, every
step goes by the descriptor of a directory, and follows no link in it.
"""

from collections.abc import Sequence

from unionfs.copyout.destination import Destination, destination
from unionfs.copyout.error import TargetError
from unionfs.copyout.tree import Copying
from unionfs.view import View

__all__ = ["Destination", "TargetError", "copy_out", "destination"]


def copy_out(view: View, source: bytes, target: Destination, *, everything: bool) -> Sequence[bytes]:
    """Copy *source*, a path that ``view.resolve`` gave, to *target*; give the paths of devices that were left out.

    With *everything* owners, extended attributes, set-id bits and devices are copied too, and a directory that is there
    already gets the attributes of the one in the image; otherwise all belongs to the caller, and devices are left out.

    Raises:
        TargetError: the copy can't be written; what was written until then stays.
        OSError: what is copied can't be read.
    """
    with Copying(view, target.directory, everything=everything) as copying:
        copying.copy(source, target.name)
        return copying.left_out
