"""Renaming, within a directory or between two, over what stands there, or by exchange.

Owns which renames are possible, what is copied up and recorded before, and how the tables follow. The step on disk is
the upper's, and is atomic.
"""

import contextlib
import errno
import os
from collections.abc import Iterator

from unionfs.layer import private_xattrs
from unionfs.layer.entry import Entry, Kind, kind_of_mode
from unionfs.layer.marks import REDIRECT_MAX
from unionfs.layer.upper import Move, Upper
from unionfs.linux.rename import RENAME_EXCHANGE, RENAME_NOREPLACE
from unionfs.union.contents import Contents
from unionfs.union.copy_up import CopyUp
from unionfs.union.creation import check_new_name
from unionfs.union.inode import AnyInode, DirectoryInode, Inode, Place
from unionfs.union.nodes import Nodes
from unionfs.union.removal import Removal, note_removed
from unionfs.union.step import Operation


class _Side:
    """One of the two names of a rename."""

    __slots__ = ("contents", "name", "node", "parent")

    def __init__(self, nodes: Nodes, parent: DirectoryInode, name: bytes) -> None:
        self.parent = parent
        self.name = name
        self.contents: Contents = nodes.contents(parent)
        self.node: AnyInode | None = nodes.child(parent, name)

    @property
    def has_lower(self) -> bool:
        """Whether the layers beneath hold the name."""
        return self.name in self.contents.lower


class Renaming:
    """Renames entries; ``redirect`` lets directories of the layers beneath be renamed."""

    def __init__(self, nodes: Nodes, upper: Upper, copy_up: CopyUp, removal: Removal, *, redirect: bool) -> None:
        self._nodes = nodes
        self._upper = upper
        self._copy_up = copy_up
        self._removal = removal
        self._redirect = redirect

    def rename(
        self, parent: DirectoryInode, name: bytes, new_parent: DirectoryInode, new_name: bytes, flags: int
    ) -> Operation[None]:
        """Rename *name* to *new_name*.

        Raises:
            OSError: as rename(2); EXDEV for a directory with something beneath it where redirects aren't written.
        """
        if flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) or flags == RENAME_NOREPLACE | RENAME_EXCHANGE:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        check_new_name(new_name)
        exchange = bool(flags & RENAME_EXCHANGE)
        while True:
            source, target = _Side(self._nodes, parent, name), _Side(self._nodes, new_parent, new_name)
            self._check(source, target, exchange=exchange, replace=not flags & RENAME_NOREPLACE)
            if source.node is target.node:
                return
            moved = [side.node for side in (source, target if exchange else source) if side.node is not None]
            copying = [node for node in (*moved, target.node) if _is_copying(node)]
            fixed = [node for node in moved if not self._copy_up.is_movable(node)]
            if not copying and not fixed:
                break
            # Others may change names meanwhile, so after each wait all is looked at again.
            yield from CopyUp.settled(copying[0]) if copying else self._copy_up.make_movable(fixed[0])
        self._prepare(source, target, exchange=exchange)
        if exchange:
            self._exchange(source, target)
        else:
            self._replace(source, target)

    # Whether it is possible.

    def _check(self, source: _Side, target: _Side, *, exchange: bool, replace: bool) -> None:
        node, over = source.node, target.node
        if node is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), source.name)
        if exchange and over is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), target.name)
        if over is not None and not replace:
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), target.name)
        for moved, to in ((node, target), (over if exchange else None, source)):
            if isinstance(moved, DirectoryInode):
                self._check_directory(moved, to)
        if not exchange and over is not None and over is not node:
            self._check_replaced(node, over, target)

    def _check_directory(self, moved: DirectoryInode, to: _Side) -> None:
        if to.parent.is_within(moved):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if moved.lowers and not self._redirect:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    def _check_replaced(self, node: AnyInode, over: AnyInode, target: _Side) -> None:
        if isinstance(over, DirectoryInode):
            if not isinstance(node, DirectoryInode):
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), target.name)
            if not self._nodes.contents(over).is_empty:
                raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), target.name)
        elif isinstance(node, DirectoryInode):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), target.name)

    # What comes before the step.

    def _prepare(self, source: _Side, target: _Side, *, exchange: bool) -> None:
        """Copy up the directories, and record on what moves where it goes on beneath, or that it doesn't."""
        self._copy_up.directory(source.parent)
        self._copy_up.directory(target.parent)
        for side, to in [(source, target)] + ([(target, source)] if exchange else []):
            if isinstance(side.node, DirectoryInode):
                self._copy_up.directory(side.node)
                self._mark_directory(side.node, to)
            elif side.node is not None:
                self._copy_up.record_move(side.node)
                self._name_in_upper(side.node, side)

    def _name_in_upper(self, node: Inode, side: _Side) -> None:
        """Give a file that was copied up by another of its names an upper entry at this one."""
        if side.name not in side.contents.upper:
            self._copy_up.link_at_lower_name(node, side.parent, side.name)

    def _mark_directory(self, node: DirectoryInode, to: _Side) -> None:
        assert node.upper is not None
        if node.lowers:
            self._set_redirect(node)
        elif to.has_lower:
            self._upper.marking.make_opaque(node.upper)

    def _set_redirect(self, node: DirectoryInode) -> None:
        assert node.upper is not None
        path = node.lower_path
        if len(path) > REDIRECT_MAX or not self._upper.marking.set(*node.place, private_xattrs.REDIRECT, path):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    # The step, and what follows from it.

    def _replace(self, source: _Side, target: _Side) -> None:
        node, over = source.node, target.node
        assert node is not None
        last = self._nodes.attributes(over) if isinstance(over, DirectoryInode) else None
        if isinstance(over, Inode):
            self._replace_file(source, target, over)
        elif isinstance(over, DirectoryInode):
            with self._cleared(over):
                self._removal.hold(over)
                self._rename_on_disk(source, target)
        else:
            self._rename_on_disk(source, target)
        if over is not None:
            target.parent.detach(target.name, over)
        if isinstance(over, DirectoryInode) and last is not None:
            last.nlink = 0
            over.removed = last
            self._removal.note_gone(over)
        source.parent.detach(source.name, node)
        self._arrive(node, source, target)
        note_removed(source.parent, source.contents, source.name)
        if over is not None:
            self._nodes.drop_if_unknown(over)

    def _rename_on_disk(self, source: _Side, target: _Side) -> None:
        assert source.parent.upper is not None
        assert target.parent.upper is not None
        self._upper.rename(
            source.parent.upper,
            source.name,
            target.parent.upper,
            target.name,
            Move(
                directory=isinstance(source.node, DirectoryInode),
                leaves_whiteout=source.has_lower,
                over_whiteout=target.contents.has_whiteout(target.name),
                replaces=target.node is not None,
            ),
        )

    @contextlib.contextmanager
    def _cleared(self, over: DirectoryInode) -> Iterator[None]:
        """Make the directory that is replaced empty on disk too."""
        if over.upper is not None and next(os.scandir(over.upper.path()), None) is not None:
            with self._upper.emptied(over.upper):
                yield
        else:
            yield

    def _replace_file(self, source: _Side, target: _Side, over: Inode) -> None:
        """Rename over a file; one that is still in use by its last known name gets another place first."""
        in_upper = target.name in target.contents.upper
        if over.link_key is not None or (not in_upper and self._has_lower_links(over)):
            assert over.link_key is not None
            counts = {"upper": -1} if in_upper else {"hidden": 1}
            with self._upper.links.change(over.link_key, over.lower_links, **counts):
                self._rename_on_disk(source, target)
            return
        if not in_upper:
            self._rename_on_disk(source, target)
            over.unlinked = True
            return
        before = over.place
        self._keep(over, target)
        try:
            self._rename_on_disk(source, target)
        except OSError:
            if over.parked:
                self._upper.discard(over.place.name)
            over.place, over.parked = before, False
            raise

    def _has_lower_links(self, over: Inode) -> bool:
        links = over.place.directory.status(over.place.name).st_nlink
        if over.in_upper or links <= 1:
            return False
        over.link_key, over.lower_links = self._upper.links.key(*over.place), links
        return True

    def _keep(self, over: Inode, target: _Side) -> None:
        """Let an upper file that loses the name *target* be reached by another one: known, or in the workdir."""
        assert target.parent.upper is not None
        others = [other for other in over.names() if other != (target.parent, target.name)]
        if others:
            directory, name = others[0]
            assert directory.upper is not None
            over.place = Place(directory.upper, name)
        elif over.lookups > 0:
            staged = self._upper.workdir.staged_name()
            self._upper.link(target.parent.upper, target.name, self._upper.work, staged, over_whiteout=False)
            over.place, over.parked = Place(self._upper.work, staged), True

    def _exchange(self, source: _Side, target: _Side) -> None:
        one, other = source.node, target.node
        assert one is not None
        assert other is not None
        assert source.parent.upper is not None
        assert target.parent.upper is not None
        self._upper.exchange(source.parent.upper, source.name, target.parent.upper, target.name)
        source.parent.detach(source.name, one)
        target.parent.detach(target.name, other)
        self._arrive(one, source, target)
        self._arrive(other, target, source)

    @staticmethod
    def _arrive(node: AnyInode, left: _Side, at: _Side) -> None:
        """Let the tables follow: *node* is known by the name *at*, no longer by the one it *left*."""
        assert left.parent.upper is not None
        assert at.parent.upper is not None
        at.parent.attach(at.name, node)
        kind = Kind.DIR if isinstance(node, DirectoryInode) else kind_of_mode(node.type_bits)
        at.contents.set_upper(at.name, Entry(kind, node.real.inode, at.parent.upper))
        if isinstance(node, DirectoryInode):
            assert node.upper is not None
            node.upper.parent, node.upper.name = at.parent.upper, at.name
        elif node.link_key is None and node.place == (left.parent.upper, left.name):
            node.place = Place(at.parent.upper, at.name)


def _is_copying(node: AnyInode | None) -> bool:
    return isinstance(node, Inode) and node.copying is not None
