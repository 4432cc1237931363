"""Finding the inode behind a name, and what it shows.

Owns the way from a directory and a name to an inode (lookup order, hard links, numbers) and the end of an inode when
the kernel forgets it. Changes nothing that a program could see.
"""

import errno
import os
import stat
from typing import NamedTuple

from unionfs.layer.attributes import Attributes
from unionfs.layer.directory import Directory
from unionfs.layer.entry import Entry, Kind, kind_of_mode
from unionfs.layer.marks import NO_MARKS, Marks
from unionfs.layer.ownership import Ownership
from unionfs.layer.upper import Upper
from unionfs.linux.ids import MappedIds, mapped_ids
from unionfs.union.contents import Contents
from unionfs.union.inode import AnyInode, DirectoryInode, Identity, Inode, Place
from unionfs.union.lowers import Lowers
from unionfs.union.open_files import OpenFiles
from unionfs.union.origin import Origin
from unionfs.union.table import ROOT, InodeTable


def lower_path(parent: DirectoryInode, name: bytes, marks: Marks) -> bytes:
    """Give where *name* in *parent*, which has *marks*, goes on beneath, from the root of the lowers."""
    if marks.redirect is None:
        return parent.lower_path + b"/" + name
    return marks.redirect if marks.redirect.startswith(b"/") else parent.lower_path + b"/" + marks.redirect


def _kind_of(node: AnyInode) -> Kind:
    return kind_of_mode(node.type_bits) if isinstance(node, Inode) else Kind.DIR


class Seen(NamedTuple):
    """The inode behind a name, and what its layer was just found to say of it, if that was asked."""

    node: AnyInode
    attributes: Attributes | None = None


class Nodes:
    """The inodes of one mount."""

    def __init__(self, upper: Upper | None, lowers: Lowers, files: OpenFiles, *, ino32: bool = False) -> None:
        self.upper = upper
        self.lowers = lowers
        self.files = files
        self.table = InodeTable(ino32=ino32)
        self._ids = mapped_ids()
        self.root = self._make_root()

    def _make_root(self) -> DirectoryInode:
        upper = None if self.upper is None else self.upper.root
        if upper is not None and upper.is_opaque(upper.marks()):
            self.lowers.hide()
        lowers = self.lowers.roots
        top = upper or lowers[0]
        status = top.status()
        root = DirectoryInode(ROOT, Identity(status.st_dev, status.st_ino), upper, lowers, b"")
        for directory in (*([upper] if upper else ()), *lowers):
            self.table.know_device(directory.tree.device)
        root.note(top.marks())
        root.lookups = 1
        self.table.add(root)
        return root

    # From a name to an inode.

    def get(self, number: int) -> AnyInode:
        """Give the inode *number*.

        Raises:
            OSError: ESTALE when no such inode is known.
        """
        node = self.table.get(number)
        if node is None:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return node

    def directory(self, number: int) -> DirectoryInode:
        """Give the directory *number*.

        Raises:
            OSError: ESTALE, or ENOTDIR when it is something else.
        """
        node = self.get(number)
        if not isinstance(node, DirectoryInode):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return node

    def contents(self, directory: DirectoryInode) -> Contents:
        """Give the names of *directory*, scanned once.

        Raises:
            OSError: ENOENT when it was removed, or a layer can't be read.
        """
        if directory.removed is not None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        if directory.contents is None:
            directory.contents = Contents(directory.upper, directory.lowers)
        return directory.contents

    def child(self, parent: DirectoryInode, name: bytes) -> AnyInode | None:
        """Give the inode that *name* in *parent* stands for, or None.

        Raises:
            OSError: ESTALE when a layer changed underneath, EIO for marks that aren't valid, and what reading gives.
        """
        seen = self.look(parent, name)
        return None if seen is None else seen.node

    def look(self, parent: DirectoryInode, name: bytes) -> Seen | None:
        """Give what ``child`` does, and the attributes with it where finding it told them."""
        known = parent.children.get(name)
        if known is not None:
            return Seen(known)
        contents = self.contents(parent)
        entry = contents.get(name)
        if entry is None:
            return None
        if entry.kind is Kind.DIR:
            seen = self._load_directory(parent, contents, name)
        else:
            seen = self._load_file(parent, entry, name, in_upper=name in contents.upper)
        parent.attach(name, seen.node)
        return seen

    def expected(self, parent: DirectoryInode, name: bytes, entry: Entry) -> tuple[Kind, int]:
        """Give type and number of what shows at *name*, loading it only where the scan's *entry* doesn't tell.

        A file of a layer that has records may stand for a device, FIFO or socket.
        """
        known = parent.children.get(name)
        if known is not None:
            return _kind_of(known), known.number
        kind, inode, directory = entry
        if directory is not parent.upper and (kind is not Kind.FILE or not directory.tree.holds_records):
            number = self.table.natural_number(directory.tree.device, inode)
            if self.table.get(number) is None:
                return kind, number
        return self._reached(parent, name, kind)

    def _reached(self, parent: DirectoryInode, name: bytes, kind: Kind) -> tuple[Kind, int]:
        """Give type and number of what shows at *name* by loading it; where that fails *kind*, and a number of none."""
        try:
            node = self.child(parent, name)
        except OSError:
            node = None
        if node is None:
            return kind, self.table.spare_number()
        self.drop_if_unknown(node)
        return _kind_of(node), node.number

    def existing(self, parent: DirectoryInode, name: bytes) -> AnyInode:
        """Give the inode that *name* in *parent* stands for.

        Raises:
            OSError: ENOENT when there is none.
        """
        node = self.child(parent, name)
        if node is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return node

    def beneath(self, parent: DirectoryInode) -> Lowers:  # noqa: ARG002 - with grafts it depends on that
        """Give the layers among which what *parent* holds goes on: here those of the whole mount."""
        return self.lowers

    def _load_directory(self, parent: DirectoryInode, contents: Contents, name: bytes) -> Seen:
        upper = None
        known = contents.lower_parents(name)
        marks: Marks | None = None
        if name in contents.upper and parent.upper is not None:
            upper = parent.upper.child(name)
            marks = upper.marks()
        beneath = self.beneath(parent)
        if marks is None:
            lowers = beneath.directories(parent.lowers, name, known)
        elif upper is not None and upper.is_opaque(marks):
            lowers = ()
        elif marks.redirect is None:
            lowers = beneath.directories(parent.lowers, name, known) if known else ()
        else:
            lowers = beneath.directories(*beneath.redirected(parent.lowers, marks.redirect, -1))
        return self._directory_inode(upper, lowers, lower_path(parent, name, marks or NO_MARKS))

    def _directory_inode(self, upper: Directory | None, lowers: tuple[Directory, ...], path: bytes) -> Seen:
        """Make the inode of a directory; its number is that of the topmost lower, so that copy-up doesn't change it."""
        top = upper or lowers[0]
        attributes, marks = top.examine()
        if not attributes.is_directory:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        real = Identity(attributes.dev, attributes.ino)
        numbered = real
        if upper is not None and lowers:
            status = lowers[0].status()
            numbered = Identity(status.st_dev, status.st_ino)
        number = self.table.free_number(numbered)
        node = DirectoryInode(number, real, upper, lowers, path)
        node.note(marks)
        self.table.add(node)
        return Seen(node, attributes)

    def _load_file(self, parent: DirectoryInode, entry: Entry, name: bytes, *, in_upper: bool) -> Seen:
        place = Place(entry.directory, name)
        attributes, marks = place.directory.examine(name)
        if attributes.is_directory:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        real = Identity(attributes.dev, attributes.ino)
        # A lower file with one name that shows at two is in a directory to which two redirects lead: two files here.
        known = self.table.find(real) if in_upper or attributes.nlink > 1 else None
        if isinstance(known, Inode):
            if in_upper:
                self.take_back(known, place)
            return Seen(known)
        origin = Origin.parse(marks.origin) if in_upper else None
        if origin is None and not in_upper and attributes.nlink > 1:
            origin = self._origin_of_links(place, attributes)
        if origin is not None and self._is_indexed(origin.link_key, real, in_upper=in_upper):
            return Seen(self._load_linked(parent, name, origin, attributes))
        number = self.table.free_number(real, origin.number if origin is not None else None)
        node = Inode(number, real, place, attributes.type_bits, in_upper=in_upper)
        if origin is not None and not in_upper:
            node.link_key, node.lower_links = origin.link_key, origin.links
        self._note_marks(parent, name, node, marks)
        self.table.add(node)
        return Seen(node, attributes)

    def take_back(self, node: Inode, place: Place) -> None:
        """Let a file that was parked since no name of it was known be reached at *place*, a name of the upper."""
        if node.parked and self.upper is not None:
            parked, node.place = node.place.name, place
            node.parked = node.unlinked = False
            self.upper.discard(parked)

    def _is_indexed(self, key: bytes | None, found: Identity, *, in_upper: bool) -> bool:
        """Tell whether the index holds what was found; a copy of an upper file made offline has its key alone."""
        if self.upper is None or key is None or key not in self.upper.links:
            return False
        if not in_upper:
            return True
        held = self.upper.links.directory.status(key)
        return found == (held.st_dev, held.st_ino)

    def _origin_of_links(self, place: Place, attributes: Attributes) -> Origin | None:
        """Give what the index needs to know of a lower file with several names, once the index holds anything."""
        if self.upper is None or not self.upper.links:
            return None
        number = self.table.natural_number(attributes.dev, attributes.ino)
        return Origin(self.table.lasting_number(number), self.upper.links.key(*place), attributes.nlink)

    def _load_linked(self, parent: DirectoryInode, name: bytes, origin: Origin, found: Attributes) -> Inode:
        """Give the inode of a file that the index holds: it is reached there, whichever name led to it."""
        assert self.upper is not None
        assert origin.link_key is not None
        place = Place(self.upper.links.directory, origin.link_key)
        attributes, marks = place.directory.examine(place.name)
        real = Identity(attributes.dev, attributes.ino)
        known = self.table.find(real)
        if isinstance(known, Inode):
            return known
        node = Inode(self.table.free_number(real, origin.number), real, place, attributes.type_bits, in_upper=True)
        node.link_key, node.lower_links = origin.link_key, origin.links
        if found.ino != attributes.ino:
            node.lower = Identity(found.dev, found.ino)
        self._note_marks(parent, name, node, marks)
        self.table.add(node)
        return node

    def _note_marks(self, parent: DirectoryInode, name: bytes, node: Inode, marks: Marks) -> None:
        node.note(marks)
        if marks.metacopy and node.type_bits == stat.S_IFREG:
            position = -1 if node.in_upper else node.place.directory.tree.position
            node.is_metacopy = True
            # A redirect of the layers beneath is followed from there, not from the upper.
            node.lower_path = lower_path(parent, name, marks if node.in_upper else NO_MARKS)
            node.content = self.beneath(parent).content(parent.lowers, name, marks, position)

    # What an inode shows.

    def attributes(self, node: AnyInode, found: Attributes | None = None) -> Attributes:
        """Give what *node* shows now; *found* is what its layer was just found to say of it, if anything was.

        Raises:
            OSError: what reaching it in its layer gives.
        """
        shown = self._attributes(node, found)
        if self._ids is not None:
            self._squash(shown, self._ids)
        return shown

    @staticmethod
    def _squash(shown: Attributes, ids: MappedIds) -> None:
        """Let an owner that doesn't exist in this user namespace be the daemon's own, who gets no set-id program so."""
        if ids.has(shown.uid, shown.gid):
            return
        shown.uid, shown.gid = ids.shown_uid(shown.uid), ids.shown_gid(shown.gid)
        if not shown.is_directory:
            shown.mode &= ~(stat.S_ISUID | stat.S_ISGID)

    def ownership(self, node: AnyInode, found: Attributes | None = None) -> Ownership:
        """Give what a copy of *node* keeps: a recorded owner even if it doesn't exist in this user namespace.

        Raises:
            OSError: what reaching it in its layer gives.
        """
        return Ownership.of(self._attributes(node, found))

    def _attributes(self, node: AnyInode, found: Attributes | None) -> Attributes:
        if isinstance(node, DirectoryInode):
            return self._directory_attributes(node, found)
        shown = self._as_recorded(node, found or self._file_on_disk(node))
        if shown.type_bits != node.type_bits:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        if node.content is not None:
            shown.blocks = node.content.directory.status(node.content.name).st_blocks
        shown.ino = node.number
        shown.nlink = self.link_count(node, shown.nlink)
        return shown

    def _file_on_disk(self, node: Inode) -> Attributes:
        opened = None if node.is_metacopy else self.files.peek(node.number)
        if opened is not None:
            # Twice as fast: no name has to be found.
            return Attributes(os.fstat(opened.fd))
        return Attributes(node.place.directory.status(node.place.name))

    def _directory_attributes(self, node: DirectoryInode, found: Attributes | None) -> Attributes:
        if node.removed is not None:
            return node.removed
        shown = self._as_recorded(node, found or Attributes((node.upper or node.lowers[0]).status()))
        shown.ino = node.number
        if node.is_merged:
            # As overlayfs shows it: the sub-directories of several layers aren't counted.
            shown.nlink = 1
        return shown

    def _as_recorded(self, node: AnyInode, shown: Attributes) -> Attributes:
        """Let *shown* say what a record on the entry says instead of the entry itself."""
        if node.ownership is not None:
            node.ownership.apply(shown)
        elif self._ids is not None:
            self._squash(shown, self._ids)
        return shown

    def link_count(self, node: Inode, on_disk: int) -> int:
        """Give the link count that *node* shows, whose file has *on_disk* names of which some may be ours."""
        if node.link_key is not None and self.upper is not None:
            return self.upper.links.counts(node.link_key, node.lower_links).shown
        if node.unlinked and not node.parked:
            return 0
        return on_disk - node.parked

    # The end of an inode.

    def forget(self, node: AnyInode, lookups: int) -> None:
        """The kernel drops *lookups* of its references to *node*."""
        node.lookups -= lookups
        self.drop_if_unknown(node)

    def drop_if_unknown(self, node: AnyInode) -> None:
        """Drop *node*, and then its ancestors, where neither the kernel nor a known child needs them."""
        while node.lookups <= 0 and node is not self.root and self.table.get(node.number) is node:
            if isinstance(node, DirectoryInode):
                if node.children:
                    return
                self._drop_directory(node)
            elif node.copying is not None:
                return
            else:
                self._drop_file(node)
            parents = [parent for parent, _ in node.names()]
            for parent, name in node.names():
                parent.detach(name, node)
            for parent in parents[1:]:
                self.drop_if_unknown(parent)
            if not parents:
                return
            node = parents[0]

    def _drop_directory(self, node: DirectoryInode) -> None:
        self.table.remove(node)
        for directory in (*([node.upper] if node.upper else ()), *node.lowers):
            directory.tree.descriptors.drop(directory)

    def _drop_file(self, node: Inode) -> None:
        self.table.remove(node)
        self.files.drop(node.number)
        if self.upper is None:
            return
        if node.parked:
            self.upper.discard(node.place.name)
        key = node.link_key
        if key is not None and self.upper.links.counts(key, node.lower_links).shown <= 0:
            self.upper.links.forget(key)
