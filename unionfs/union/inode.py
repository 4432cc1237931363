"""The union's inodes: what the kernel knows by a number, until it forgets it.

Owns where an inode's metadata and content are, and by which names it is known. Changes nothing on disk.
"""

from typing import NamedTuple

from unionfs.layer.attributes import Attributes
from unionfs.layer.directory import SELF, Directory
from unionfs.layer.marks import Marks
from unionfs.layer.ownership import Ownership
from unionfs.union.contents import Contents
from unionfs.union.step import Gate


class Place(NamedTuple):
    """A name in one directory of one layer."""

    directory: Directory
    name: bytes


class Identity(NamedTuple):
    """What tells one file on disk from another: device and inode number."""

    device: int
    inode: int


_DEVICES: dict[int, int] = {}


class Node:
    """What files and directories have in common.

    ``number`` is the inode number shown and the kernel's name for it; ``lookups`` how often the kernel was told of
    it. ``parent`` and ``name`` are one name by which it is known, ``further_names`` the others. ``real`` identifies
    the entry of the topmost layer. ``ownership`` is what ``override_stat`` says of it, if anything. ``has_xattrs``:
    it may have extended attributes that show; where it has none, the file system needn't be asked.
    """

    __slots__ = ("_device", "_inode", "further_names", "has_xattrs", "lookups", "name", "number", "ownership", "parent")

    def __init__(self, number: int, real: Identity) -> None:
        self.number = number
        self.real = real
        self.lookups = 0
        self.parent: DirectoryInode | None = None
        self.name = b""
        self.further_names: set[tuple[DirectoryInode, bytes]] | None = None
        self.ownership: Ownership | None = None
        self.has_xattrs = True

    @property
    def real(self) -> Identity:
        """What the entry of the topmost layer is on disk; kept as two numbers, since a tuple takes 90 bytes more."""
        return Identity(self._device, self._inode)

    @real.setter
    def real(self, identity: Identity) -> None:
        # One number for all inodes of a device, and for this inode the one it is known by, where they are equal.
        self._device = _DEVICES.setdefault(identity.device, identity.device)
        self._inode = self.number if self.number == identity.inode else identity.inode

    def note(self, marks: Marks) -> None:
        """Know what the *marks* of the entry say that holds the metadata."""
        self.ownership = marks.ownership
        self.has_xattrs = marks.others

    def names(self) -> list[tuple["DirectoryInode", bytes]]:
        """Give every name by which the inode is known."""
        return [(self.parent, self.name), *(self.further_names or ())] if self.parent is not None else []


class Inode(Node):
    """Anything but a directory.

    ``place`` is where its metadata are, and its content too unless it is a metacopy: then that is at ``content``,
    or nowhere when the layers beneath lack it, and ``lower_path`` is its path from the root of the layers beneath.
    ``lower`` identifies the lower file that it was copied up from in this mount. ``link_key`` is the index's key of a
    lower file with ``lower_links`` names. ``copying`` is closed while its content is being copied up. ``linkable``:
    it was made without a name and may be given one (open(2), O_TMPFILE); one whose last name was removed may not.
    """

    __slots__ = (
        "_directory", "_entry", "content", "copying", "in_upper", "is_metacopy", "link_key", "linkable", "lower",
        "lower_links", "lower_path", "parked", "type_bits", "unlinked",
    )  # fmt: skip

    def __init__(self, number: int, real: Identity, place: Place, type_bits: int, *, in_upper: bool) -> None:
        super().__init__(number, real)
        self.place = place
        self.type_bits = type_bits
        self.in_upper = in_upper
        self.is_metacopy = False
        self.content: Place | None = None
        self.lower_path = b""
        self.lower: Identity | None = None
        self.link_key: bytes | None = None
        self.lower_links = 0
        self.copying: Gate | None = None
        self.parked = False
        self.unlinked = False
        self.linkable = False

    @property
    def is_whole_in_upper(self) -> bool:
        """Whether metadata and content are the upper's, and nothing is being copied."""
        return self.in_upper and not self.is_metacopy and self.copying is None

    @property
    def place(self) -> Place:
        """Where its metadata are; kept in two parts, as ``real`` is."""
        return Place(self._directory, self._entry)

    @place.setter
    def place(self, place: Place) -> None:
        self._directory, self._entry = place


class DirectoryInode(Node):
    """A directory: the upper's, if there is one, over those of the layers beneath that show through.

    ``lower_path`` is where the lowers were found, from the root of the layers beneath; a redirect is made of it.
    ``removed`` holds the last attributes of a directory that was removed while the kernel knew it.
    """

    __slots__ = ("children", "contents", "lower_path", "lowers", "removed", "upper")

    def __init__(
        self, number: int, real: Identity, upper: Directory | None, lowers: tuple[Directory, ...], lower_path: bytes
    ) -> None:
        super().__init__(number, real)
        self.upper = upper
        self.lowers = lowers
        self.lower_path = lower_path
        self.children: dict[bytes, Inode | DirectoryInode] = {}
        self.contents: Contents | None = None
        self.removed: Attributes | None = None

    def attach(self, name: bytes, node: "AnyInode") -> None:
        """Know *node* by *name* in this directory too."""
        self.children[name] = node
        if node.parent is None:
            node.parent, node.name = self, name
        elif (node.parent, node.name) != (self, name):
            node.further_names = node.further_names or set()
            node.further_names.add((self, name))

    def detach(self, name: bytes, node: "AnyInode") -> None:
        """Know *node* by *name* in this directory no longer."""
        if self.children.get(name) is node:
            del self.children[name]
        if node.further_names:
            node.further_names.discard((self, name))
        if (node.parent, node.name) == (self, name):
            node.parent, node.name = node.further_names.pop() if node.further_names else (None, b"")

    @property
    def place(self) -> Place:
        """Where the directory's own metadata are."""
        return Place(self.upper or self.lowers[0], SELF)

    @property
    def is_merged(self) -> bool:
        """Whether more than one layer is shown together."""
        return len(self.lowers) + (self.upper is not None) > 1

    def is_within(self, other: "DirectoryInode") -> bool:
        """Tell whether this is *other* or beneath it."""
        directory: DirectoryInode | None = self
        while directory is not None and directory is not other:
            directory = directory.parent
        return directory is not None


AnyInode = Inode | DirectoryInode
