"""Removing names: files, and directories that show nothing.

Owns when a whiteout is left, and what becomes of a file that the kernel still knows after its last name is gone.
"""

import errno
import os

from unionfs.layer.entry import Entry, Kind
from unionfs.layer.upper import Upper
from unionfs.union.contents import Contents
from unionfs.union.copy_up import CopyUp
from unionfs.union.inode import DirectoryInode, Inode, Place
from unionfs.union.nodes import Nodes
from unionfs.union.step import Operation


class Removal:
    """Takes names away."""

    def __init__(self, nodes: Nodes, upper: Upper, copy_up: CopyUp) -> None:
        self._nodes = nodes
        self._upper = upper
        self._copy_up = copy_up

    def unlink(self, parent: DirectoryInode, name: bytes) -> Operation[None]:
        """Remove the non-directory *name*.

        Raises:
            OSError: ENOENT, EISDIR, and what changing the upper gives.
        """
        while True:
            node = self._nodes.existing(parent, name)
            if isinstance(node, DirectoryInode):
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), name)
            if node.copying is None:
                break
            yield node.copying
        contents = self._nodes.contents(parent)
        self._copy_up.directory(parent)
        self._take_name(node, parent, contents, name)
        parent.detach(name, node)
        note_removed(parent, contents, name)
        self._nodes.drop_if_unknown(node)

    def _take_name(self, node: Inode, parent: DirectoryInode, contents: Contents, name: bytes) -> None:
        if name not in contents.upper:
            self._white_out_lower(node, parent, name)
        elif node.link_key is not None:
            with self._upper.links.change(node.link_key, node.lower_links, upper=-1):
                self._remove_from_upper(parent, contents, name)
        else:
            self.release_name(node, parent, name, whiteout=name in contents.lower)

    def _white_out_lower(self, node: Inode, parent: DirectoryInode, name: bytes) -> None:
        """Hide a lower file's name; of one with several the index counts how many are hidden."""
        assert parent.upper is not None
        if not node.in_upper and node.link_key is None:
            links = node.place.directory.status(node.place.name).st_nlink
            if links > 1:
                node.link_key, node.lower_links = self._upper.links.key(*node.place), links
        if node.link_key is None:
            self._upper.white_out(parent.upper, name)
            node.unlinked = True
            return
        with self._upper.links.change(node.link_key, node.lower_links, hidden=1):
            self._upper.white_out(parent.upper, name)

    def _remove_from_upper(self, parent: DirectoryInode, contents: Contents, name: bytes) -> None:
        assert parent.upper is not None
        if name in contents.lower:
            self._upper.discard(self._upper.take_away(parent.upper, name, leave_whiteout=True))
        else:
            self._upper.unlink(parent.upper, name)

    def release_name(self, node: Inode, parent: DirectoryInode, name: bytes, *, whiteout: bool) -> None:
        """Take a name of an upper file away; where it is the last known of a file in use, the file is parked."""
        assert parent.upper is not None
        others = [other for other in node.names() if other != (parent, name)]
        if not others and node.lookups > 0:
            staged = self._upper.take_away(parent.upper, name, leave_whiteout=whiteout)
            node.place, node.parked = Place(self._upper.work, staged), True
            return
        if others:
            directory, other = others[0]
            assert directory.upper is not None
            node.place = Place(directory.upper, other)
        if whiteout:
            self._upper.discard(self._upper.take_away(parent.upper, name, leave_whiteout=True))
        else:
            self._upper.unlink(parent.upper, name)

    def rmdir(self, parent: DirectoryInode, name: bytes) -> None:
        """Remove the directory *name*, which shows nothing.

        Raises:
            OSError: ENOENT, ENOTDIR, ENOTEMPTY, and what changing the upper gives.
        """
        node = self._nodes.existing(parent, name)
        if not isinstance(node, DirectoryInode):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
        if not self._nodes.contents(node).is_empty:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), name)
        contents = self._nodes.contents(parent)
        self._copy_up.directory(parent)
        assert parent.upper is not None
        last = self._nodes.attributes(node)
        last.nlink = 0
        self.hold(node)
        self._remove_directory(node, parent, name, whiteout=name in contents.lower)
        self.note_gone(node)
        parent.detach(name, node)
        note_removed(parent, contents, name)
        node.removed = last
        self._nodes.drop_if_unknown(node)

    def _remove_directory(self, node: DirectoryInode, parent: DirectoryInode, name: bytes, *, whiteout: bool) -> None:
        assert parent.upper is not None
        if node.upper is None:
            self._upper.white_out(parent.upper, name)
            return
        if not whiteout and self._removed_at_once(parent, name):
            return
        self._upper.discard(self._upper.take_away(parent.upper, name, leave_whiteout=whiteout))

    @staticmethod
    def _removed_at_once(parent: DirectoryInode, name: bytes) -> bool:
        """Remove a directory that is empty on disk too, which one that holds whiteouts isn't."""
        assert parent.upper is not None
        try:
            os.rmdir(name, dir_fd=parent.upper.fd())
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            return False
        return True

    @staticmethod
    def hold(node: DirectoryInode) -> None:
        """Open a directory that is about to be removed: while the kernel knows it nothing new has its number on disk.

        Its descriptor is one of the bounded cache. Once that closes it, a new inode may get a spare number.
        """
        if node.upper is not None:
            node.upper.fd()

    @staticmethod
    def note_gone(node: DirectoryInode) -> None:
        """Let go of what is open of the layers beneath a directory that was removed."""
        for directory in node.lowers:
            directory.tree.descriptors.drop(directory)


def note_removed(parent: DirectoryInode, contents: Contents, name: bytes) -> None:
    """Note in *contents* that *name* shows nothing: by a whiteout where the layers beneath hold it."""
    assert parent.upper is not None
    if name in contents.lower:
        contents.set_upper(name, Entry(Kind.WHITEOUT, 0, parent.upper))
    else:
        contents.remove_upper(name)
