"""Where an entry goes: its directory, made if need be, and a free name in it.

Owns what happens when something is there already. Nothing outside the layer is ever reached: whatever stands where a
directory is needed, a symbolic link too, is replaced by a directory of this layer.
"""

import os
import stat

from unionfs.layer import acl
from unionfs.layer.ownership import Ownership
from unionfs.layer.unpack import paths
from unionfs.layer.unpack.descent import DIRECTORY
from unionfs.layer.unpack.errors import LayerError
from unionfs.layer.unpack.inode import InodeWriter
from unionfs.layer.unpack.notes import Note, Notes
from unionfs.layer.unpack.tree import OpenDirectory, Tree
from unionfs.layer.unpack.unsettled import Implied, Unsettled
from unionfs.layer.unpack.whiteouts import Whiteouts
from unionfs.linux import xattrs
from unionfs.tar import printable

DEFAULT_DIRECTORY = Ownership(0, 0, 0o755, stat.S_IFDIR)
"""What a directory shows that no layer has an entry for; its times are 0."""


class _HiddenError(Exception):
    """Something that isn't a directory stands in the way of a whiteout."""


class Places:
    """Finds and makes places in one layer, and records what has to be settled later."""

    def __init__(
        self, tree: Tree, inodes: InodeWriter, whiteouts: Whiteouts, unsettled: Unsettled, notes: Notes, limit: int
    ) -> None:
        self.tree = tree
        self.whiteouts = whiteouts
        self._inodes = inodes
        self._unsettled = unsettled
        self._notes = notes
        self._limit = limit
        self._made = 0

    def parent(self, path: bytes) -> OpenDirectory:
        """Give the directory *path*; what isn't one on the way becomes one."""
        return self.tree.directory(path, self._make_implied)

    def parent_of_whiteout(self, path: bytes) -> OpenDirectory | None:
        """Give the directory *path*, or None where nothing of the layers beneath shows in it anyway."""
        try:
            return self.tree.directory(path, self._make_for_whiteout)
        except _HiddenError:
            return None

    def make_directory(self, parent: OpenDirectory, name: bytes) -> OpenDirectory:
        """Make the directory *name*, or take the one that is there without its attributes.

        Over a whiteout it becomes opaque: the whiteout and the new directory together replace what is beneath.
        """
        try:
            os.mkdir(name, 0o700, dir_fd=parent.fd)
        except FileExistsError:
            found = os.stat(name, dir_fd=parent.fd, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                return self._taken_over(paths.join(parent.path, name))
            hides = self.make_room(parent, name)
            os.mkdir(name, 0o700, dir_fd=parent.fd)
        else:
            hides = self.whiteouts.lift_prefixed(parent.fd, name)
        return self._opened(parent, name, opaque=hides)

    def make_room(self, parent: OpenDirectory, name: bytes) -> bool:
        """Remove what stands at *name*, if anything; tell whether it was a whiteout."""
        try:
            found = os.stat(name, dir_fd=parent.fd, follow_symlinks=False)
        except FileNotFoundError:
            return self.whiteouts.lift_prefixed(parent.fd, name)
        if self.whiteouts.stands(parent.fd, name, found):
            os.unlink(name, dir_fd=parent.fd)
            return True
        if found.st_ino not in self._unsettled.implied:
            self._notes.add(Note.DUPLICATE, printable(paths.join(parent.path, name)))
        self.tree.remove(parent, name, self._forget)
        return False

    def white_out(self, parent: OpenDirectory, name: bytes) -> None:
        """Hide *name* of the layers beneath; what this layer itself has there stays (OCI image-spec, layer.md)."""
        try:
            self.whiteouts.write(parent.fd, name)
        except FileExistsError:
            found = os.stat(name, dir_fd=parent.fd, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                self._replace_beneath(self.tree.directory(paths.join(parent.path, name)))
            return
        self._unsettled.whiteouts += 1

    def make_opaque(self, directory: OpenDirectory) -> None:
        """Hide all of the layers beneath in *directory*, which is there even if nothing is in it."""
        self.whiteouts.set_opaque(directory.fd)
        if directory.ino in self._unsettled.implied:
            self._unsettled.implied[directory.ino] |= Implied.WANTED

    def _replace_beneath(self, directory: OpenDirectory) -> None:
        self.whiteouts.set_opaque(directory.fd)
        if directory.ino in self._unsettled.implied:
            self._unsettled.implied[directory.ino] &= ~Implied.INHERITS

    def _make_implied(self, here: OpenDirectory, name: bytes) -> OpenDirectory:
        hides = self._clear_the_way(here, name)
        return self._implied(here, name, opaque=hides)

    def _clear_the_way(self, here: OpenDirectory, name: bytes) -> bool:
        try:
            found = os.stat(name, dir_fd=here.fd, follow_symlinks=False)
        except FileNotFoundError:
            return self.whiteouts.lift_prefixed(here.fd, name)
        is_whiteout = self.whiteouts.stands(here.fd, name, found)
        if not is_whiteout:
            self._notes.add(Note.REPLACED, printable(paths.join(here.path, name)))
        os.unlink(name, dir_fd=here.fd)
        return is_whiteout

    def _make_for_whiteout(self, here: OpenDirectory, name: bytes) -> OpenDirectory:
        if self.whiteouts.hides(here.fd, name):
            raise _HiddenError
        return self._implied(here, name, opaque=False)

    def _implied(self, here: OpenDirectory, name: bytes, *, opaque: bool) -> OpenDirectory:
        self._made += 1
        if self._made > self._limit:
            raise LayerError(
                f"{printable(paths.join(here.path, name))}: the layer makes more than {self._limit} directories that "
                "it has no entry for (entries)",
                "entries",
            )
        os.mkdir(name, 0o700, dir_fd=here.fd)
        directory = self._opened(here, name, opaque=opaque)
        self._inodes.write(directory.fd, DEFAULT_DIRECTORY, {}, directory.path)
        directory.times = (0, 0)
        self._unsettled.implied[directory.ino] = Implied(0) if opaque else Implied.INHERITS
        return directory

    def _opened(self, parent: OpenDirectory, name: bytes, *, opaque: bool) -> OpenDirectory:
        directory = self.tree.adopt(os.open(name, DIRECTORY, dir_fd=parent.fd), paths.join(parent.path, name))
        if parent.has_default_acl:
            xattrs.discard(directory.fd, acl.ACCESS)
            xattrs.discard(directory.fd, acl.DEFAULT)
            directory.has_default_acl = False
        if opaque:
            self.whiteouts.set_opaque(directory.fd)
        return directory

    def _taken_over(self, path: bytes) -> OpenDirectory:
        directory = self.tree.directory(path)
        if self._unsettled.implied.pop(directory.ino, None) is None:
            self._notes.add(Note.DUPLICATE, printable(path))
        self._inodes.clear(directory.fd)
        directory.has_default_acl = False
        return directory

    def _forget(self, inode: int) -> None:
        self._unsettled.implied.pop(inode, None)
