"""Finding what changed from one tree to another.

Owns which paths are looked at. A directory that both trees have from the same directories of layers is passed over; one
that has some more on top of those is looked at only as far as these go. So the changes of an upper take time by what is
in the upper, and those between an image and one built on it by what is in the layers that were added.

Each directory comes before what is in it, and in it what a layer stores as a whiteout before all else, by name.
"""

import errno
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from unionfs.diff.change import Change, ChangeKind
from unionfs.diff.changed_error import noticing_changes
from unionfs.diff.comparing import differs, identities, is_same_entry
from unionfs.diff.other_names import other_names
from unionfs.layer.attributes import Attributes
from unionfs.union.inode import Place
from unionfs.view import View


def changes(before: View, now: View) -> Iterator[Change]:
    """Give what differs between the two trees; what is equal in all but its layer doesn't.

    A directory differs by its owner, permissions and attributes, or by what is in it; a file by its time too.

    Raises:
        ChangedError: somebody writes to one of them.
        OSError: reading a layer failed.
    """
    return _Walk(before, now, {}, comparing=True).run()


def layer_changes(before: View, now: View) -> list[Change]:
    """Give what a layer holds that makes *before* what *now* shows: *before* with an upper on top.

    All that is in the upper is a change, whether it is equal or not. A name of a hard link that shows, without being in
    the upper, what another of its names became is one too.

    Raises:
        ChangedError: somebody writes to the upper.
        OSError: reading a layer failed.
    """
    with noticing_changes():
        found = list(_Walk(before, now, {}, comparing=False).run())
        others = other_names(found, now)
        return list(_Walk(before, now, others, comparing=False).run()) if others else found


class _Frame:
    """A directory on the way: its change, which may be given late, and those in it that are still to come."""

    __slots__ = ("change", "is_given", "pending")

    def __init__(self, change: Change, pending: list[Change]) -> None:
        self.change = change
        self.is_given = False
        self.pending = pending[::-1]


class _Walk:
    """One comparison. *others* are names to look at beside those of the layers on top, by their directory's path."""

    def __init__(self, before: View, now: View, others: Mapping[bytes, AbstractSet[bytes]], *, comparing: bool) -> None:
        self._before = before
        self._now = now
        self._others = others
        self._comparing = comparing

    def run(self) -> Iterator[Change]:
        root = self._enter(self._root())
        # Of the root its own attributes alone count: nobody has to find out that it is there.
        root.is_given = not root.change.is_due
        stack = [root]
        while stack:
            frame = stack[-1]
            if frame.change.is_due and not frame.is_given:
                yield from _given(stack)
            if not frame.pending:
                stack.pop()
                continue
            change = frame.pending.pop()
            if change.is_directory:
                with noticing_changes(change.path):
                    stack.append(self._enter(change))
            elif change.is_due:
                yield from _given(stack)
                yield change

    def _root(self) -> Change:
        changed = differs(self._before, self._now, b"", times_of_directories=not self._comparing)
        return Change(b"", ChangeKind.CHANGED if changed else ChangeKind.SAME, self._now.attributes(b""))

    def _enter(self, directory: Change) -> _Frame:
        """Look at what is in *directory*, which is one now."""
        path, covered = directory.path, directory.covered
        now = self._now.places(path)
        old = _attributes(self._before, path)
        beneath = self._before.places(path) if old is not None and old.is_directory else ()
        on_top = None if covered else _on_top(now, beneath)
        if on_top is not None:
            names = _held(on_top) | self._others.get(path, set())
        else:
            names = {*self._now.names(path), *(self._before.names(path) if beneath else ())}
            if beneath and not covered and not self._comparing:
                directory = directory._replace(opaque=True, kind=ChangeKind.CHANGED)
        covered |= directory.opaque or not beneath
        above = path + b"/" if path else b""
        found = [self._change(above + name, was_there=bool(beneath), covered=covered) for name in sorted(names)]
        pending = [change for change in found if change is not None]
        return _Frame(directory, sorted(pending, key=lambda change: change.is_stored))

    def _change(self, path: bytes, *, was_there: bool, covered: bool) -> Change | None:
        old = _attributes(self._before, path) if was_there else None
        new = _attributes(self._now, path)
        if new is None:
            return None if old is None else Change(path, ChangeKind.DELETED, covered=covered)
        if old is None:
            return Change(path, ChangeKind.ADDED, new, covered=covered)
        if self._is_other_name(path) and not new.is_directory:
            return Change(path, ChangeKind.CHANGED, new, covered=covered)
        is_merged = new.is_directory and not covered
        kind = self._kind(path, may_be_same=self._comparing or is_merged)
        return Change(path, kind, new, covered=covered)

    def _is_other_name(self, path: bytes) -> bool:
        """Tell whether *path* is to be one file with a change, or leads to such a name."""
        above, _, name = path.rpartition(b"/")
        return name in self._others.get(above, ())

    def _kind(self, path: bytes, *, may_be_same: bool) -> ChangeKind:
        """Give how *path*, which is in both trees, differs.

        Of an upper every file counts, also one that is as it was. A merged directory is there for what is in it, and
        docker passes over one whose attributes and time are the same.
        """
        if is_same_entry(self._before, self._now, path):
            return ChangeKind.SAME
        if may_be_same and not differs(self._before, self._now, path, times_of_directories=not self._comparing):
            return ChangeKind.SAME
        return ChangeKind.CHANGED


def _given(stack: list[_Frame]) -> Iterator[Change]:
    """Give the directories on the way that weren't given yet: what is in them changed, and so did they."""
    for frame in stack:
        if not frame.is_given:
            frame.is_given = True
            yield frame.change if frame.change.is_due else frame.change._replace(kind=ChangeKind.CHANGED)


def _on_top(now: tuple[Place, ...], beneath: tuple[Place, ...]) -> tuple[Place, ...] | None:
    """Give the parts of a directory that lie on those that it had before; None where it doesn't lie on all of them."""
    above = len(now) - len(beneath)
    return now[:above] if above >= 0 and identities(now[above:]) == identities(beneath) else None


def _held(parts: tuple[Place, ...]) -> set[bytes]:
    """Give the names in the parts of a directory, the whiteouts among them."""
    return {name for part in parts for name in part.directory.scan()}


def _attributes(view: View, path: bytes) -> Attributes | None:
    try:
        return view.attributes(path)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise
        return None
