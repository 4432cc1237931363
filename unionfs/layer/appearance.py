"""A layer that shows in several places of one mount, and whose files are other files in each.

Owns telling them apart: at each place they seem to be on a file system of their own, from which their inode numbers are
made. All places share the layer's open root and what was learnt of its pace.
"""

from unionfs.layer.attributes import Attributes
from unionfs.layer.directory import SELF, Directory, Tree
from unionfs.layer.marks import Marks

# The number of a device has 32 bits as stat(2) tells it in Linux.
_BEYOND_DEVICES = 1 << 40


def device_at(place: int, device: int) -> int:
    """Give the number by which *device* is known at *place*; at place 0 it is its own."""
    return device + place * _BEYOND_DEVICES


class _Tree(Tree):
    """What the directories of a layer share at one place."""

    __slots__ = ("place",)

    def __init__(self, layer: Tree, place: int, position: int) -> None:
        super().__init__(
            layer.descriptors, device_at(place, layer.device), position=position, confined=layer.confined,
            in_memory=layer.in_memory,
        )  # fmt: skip
        self.pace = layer.pace
        self.place = place


class Appearance(Directory):
    """A directory of a layer at one place."""

    __slots__ = ()
    tree: _Tree

    @classmethod
    def of(cls, root: Directory, *, place: int, position: int) -> "Appearance":
        """Give the layer *root* as it shows at *place*, as the layer *position* of the stack there."""
        return cls(_Tree(root.tree, place, position), None, b"", root.root_fd)

    def child(self, name: bytes) -> "Appearance":
        """Give the directory *name* in this one; that it exists is the caller's knowledge."""
        return Appearance(self.tree, self, name)

    def examine(self, name: bytes = SELF) -> tuple[Attributes, Marks]:
        """Give the attributes that *name* shows here, and its marks.

        Raises:
            OSError: ENOENT when it isn't there, or what reaching it gives.
        """
        attributes, marks = super().examine(name)
        attributes.dev = device_at(self.tree.place, attributes.dev)
        return attributes, marks
