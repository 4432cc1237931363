"""The upper: the layer that changes, together with its workdir.

Owns the atomic steps: an entry is staged in the workdir and put into place by one rename, so that a crash shows the
old or the new entry, whole, and never hides one. Knows nothing of the layers beneath; its caller says where a whiteout
is needed.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from unionfs.layer import acl, private_xattrs
from unionfs.layer.abilities import Abilities, WhiteoutForm
from unionfs.layer.directory import SELF, Directory
from unionfs.layer.index import HardLinks
from unionfs.layer.marking import Marking
from unionfs.layer.marks import Marks
from unionfs.layer.metadata import Metadata
from unionfs.layer.ownership import Ownership
from unionfs.layer.recording import Recording
from unionfs.layer.whiteouts import Whiteouts
from unionfs.layer.workdir import Workdir
from unionfs.linux import xattrs
from unionfs.linux.rename import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, renameat2

_CREATE = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class New(NamedTuple):
    """An entry to make: what it shows, a symbolic link's target, and whether it hides all beneath it."""

    ownership: Ownership
    target: bytes = b""
    opaque: bool = False

    @property
    def is_directory(self) -> bool:
        """Whether a directory is to be made."""
        return stat.S_ISDIR(self.ownership.type_bits)


class Made(NamedTuple):
    """An entry that was made: what stat(2) tells of it, and a descriptor of a regular file where there is one.

    ``marks`` is what it records of itself; None where nothing can be recorded.
    """

    status: os.stat_result
    fd: int | None
    marks: Marks | None


class Move(NamedTuple):
    """What a rename moves, and what it leaves and meets.

    ``directory``: a directory moves. ``leaves_whiteout``: the layers beneath hold its old name. ``over_whiteout``: a
    whiteout stands at the new name. ``replaces``: something shows there, be it in the layers beneath.
    """

    directory: bool
    leaves_whiteout: bool
    over_whiteout: bool
    replaces: bool


class Form(NamedTuple):
    """How an upper is written: where owners are kept, and whether opaque directories get the marker file too."""

    recording: Recording = Recording()
    marker_files: bool = False


class Upper:
    """The root of the upper layer, and the steps that change it."""

    def __init__(self, root: Directory, workdir: Workdir, links: HardLinks, abilities: Abilities, form: Form) -> None:
        self.root = root
        self.workdir = workdir
        self.links = links
        self.work = workdir.directory
        self._form = form
        self.use(abilities)

    def use(self, abilities: Abilities) -> None:
        """Keep everything in the ways that *abilities* say."""
        self.abilities = abilities
        self.metadata = Metadata(abilities, self._form.recording)
        self.marking = Marking(abilities, marker_files=self._form.marker_files)
        self.whiteouts = Whiteouts(self.workdir, abilities)

    # Making entries.

    def make(
        self, parent: Directory, name: bytes, new: New, *, over_whiteout: bool, above: os.stat_result | None = None
    ) -> Made:
        """Make *name* in *parent*, where nothing or a whiteout stands; *above* is what stat(2) told of *parent*.

        Raises:
            OSError: EEXIST when something else made the name, and what making and owning the entry gives.
        """
        fd = None
        if not over_whiteout and not new.opaque and self._is_made_in_place(above or parent.status(), new):
            fd = self._make_entry(parent, name, new, new.ownership.permissions)
        else:
            staged, fd = self._stage_open(new, parent.xattr(SELF, acl.DEFAULT))
            with self.workdir.discarding(staged, fd):
                self.place(staged, parent, name, directory=new.is_directory, over_whiteout=over_whiteout)
        with self._taken_back(parent, name, fd, whiteout=over_whiteout):
            status = parent.status(name) if fd is None else os.fstat(fd)
            return Made(status, fd, parent.marks(name) if self.metadata.may_record else None)

    @contextlib.contextmanager
    def _taken_back(self, parent: Directory, name: bytes, fd: int | None, *, whiteout: bool) -> Iterator[None]:
        """Take a new entry away again when what is done with it fails, so that an error means that nothing was made."""
        try:
            yield
        except OSError:
            if fd is not None:
                os.close(fd)
            self.discard(self.take_away(parent, name, leave_whiteout=whiteout))
            raise

    def _is_made_in_place(self, above: os.stat_result, new: New) -> bool:
        """Tell whether the kernel gives the new entry the right owner, permissions and access list by itself."""
        inherited = above.st_gid if above.st_mode & stat.S_ISGID else None
        natural = self.metadata.is_natural(new.ownership, inherited_gid=inherited)
        return natural and self.metadata.disk_type(new.ownership) == new.ownership.type_bits

    def _make_entry(self, parent: Directory, name: bytes, new: New, permissions: int) -> int | None:
        fd = parent.fd()
        type_bits = self.metadata.disk_type(new.ownership)
        if type_bits == stat.S_IFREG:
            return os.open(name, _CREATE, permissions, dir_fd=fd)
        if type_bits == stat.S_IFDIR:
            os.mkdir(name, permissions & 0o1777, dir_fd=fd)
        elif type_bits == stat.S_IFLNK:
            os.symlink(new.target, name, dir_fd=fd)
        else:
            os.mknod(name, type_bits | permissions, new.ownership.rdev, dir_fd=fd)
        return None

    def stage(self, new: New, *, default_acl: bytes | None = None) -> bytes:
        """Make an entry in the workdir as it is to appear, and give its name there."""
        staged, fd = self._stage_open(new, default_acl)
        if fd is not None:
            os.close(fd)
        return staged

    def _stage_open(self, new: New, default_acl: bytes | None) -> tuple[bytes, int | None]:
        """Stage *new*; a regular file comes open, since its owner's permissions may not let it be opened any more."""
        staged, ownership = self.workdir.staged_name(), new.ownership
        fd = self._make_entry(self.work, staged, new, 0o700 if new.is_directory else 0o600)
        if fd is not None and ownership.type_bits != stat.S_IFREG:
            os.close(fd)
            fd = None
        with self.workdir.discarding(staged, fd):
            if default_acl is not None and ownership.type_bits != stat.S_IFLNK:
                ownership = self._inherit_acl(staged, new, default_acl)
            self.metadata.give(self.work, staged, ownership)
            if new.opaque:
                self._set_staged_opaque(staged)
        return staged, fd

    def _set_staged_opaque(self, staged: bytes) -> None:
        directory = self.work.child(staged)
        try:
            self.marking.make_opaque(directory)
        finally:
            # Under this name it is found only until it is put into place.
            self.work.tree.descriptors.drop(directory)

    def _inherit_acl(self, staged: bytes, new: New, default_acl: bytes) -> Ownership:
        access, permissions = acl.inherit(default_acl, new.ownership.permissions)
        path = self.work.path(staged)
        if access is not None:
            xattrs.set_(path, acl.ACCESS, access)
        if new.is_directory:
            xattrs.set_(path, acl.DEFAULT, default_acl)
        return new.ownership._replace(permissions=permissions)

    def place(self, staged: bytes, parent: Directory, name: bytes, *, directory: bool, over_whiteout: bool) -> None:
        """Put *staged* of the workdir at *name*, where nothing or a whiteout stands.

        Raises:
            OSError: EEXIST when something else is there.
        """
        if not over_whiteout:
            self._move_in(staged, parent, name)
        elif directory and parent.has(name):
            self.exchange(self.work, staged, parent, name)
            self.discard(staged)
        else:
            self.replace(staged, parent, name)
        if over_whiteout:
            self.whiteouts.remove_prefixed(parent, name)

    def _move_in(self, staged: bytes, parent: Directory, name: bytes) -> None:
        """Put *staged* at *name*, where nothing stands; the file system looks again, where it can."""
        if self.abilities.noreplace:
            renameat2(self.work.fd(), staged, parent.fd(), name, RENAME_NOREPLACE)
        elif parent.has(name):
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        else:
            self.replace(staged, parent, name)

    def replace(self, staged: bytes, parent: Directory, name: bytes) -> None:
        """Put *staged* at *name*, over the non-directory that stands there."""
        os.rename(staged, name, src_dir_fd=self.work.fd(), dst_dir_fd=parent.fd())

    def link(
        self, source: Directory, source_name: bytes, parent: Directory, name: bytes, *, over_whiteout: bool
    ) -> None:
        """Give the file *source_name* of *source* the further name *name*."""
        if not over_whiteout or not parent.has(name):
            _link(source, source_name, parent, name)
        else:
            staged = self.workdir.staged_name()
            _link(source, source_name, self.work, staged)
            with self.workdir.discarding(staged):
                self.replace(staged, parent, name)
        if over_whiteout:
            self.whiteouts.remove_prefixed(parent, name)

    # Taking entries away.

    def white_out(self, parent: Directory, name: bytes) -> None:
        """Leave a whiteout at *name*, where nothing stands in the upper.

        Raises:
            OSError: it can't be written.
        """
        form = self.whiteouts.form_for(name)
        if form is WhiteoutForm.PREFIX:
            self.whiteouts.write_prefixed(parent, name)
        elif form is WhiteoutForm.DEVICE:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=parent.fd())
        else:
            staged = self.whiteouts.stage_in_attribute(parent)
            with self.workdir.discarding(staged):
                self._move_in(staged, parent, name)

    def take_away(self, parent: Directory, name: bytes, *, leave_whiteout: bool) -> bytes:
        """Move *name* into the workdir in one step, leaving a whiteout where asked; give its name there."""
        staged = self.workdir.staged_name()
        fd, work = parent.fd(), self.work.fd()
        form = self.whiteouts.form_for(name)
        if not leave_whiteout:
            os.rename(name, staged, src_dir_fd=fd, dst_dir_fd=work)
        elif form is WhiteoutForm.PREFIX:
            with self.whiteouts.prefixing(parent, name):
                os.rename(name, staged, src_dir_fd=fd, dst_dir_fd=work)
        elif form is WhiteoutForm.DEVICE:
            renameat2(fd, name, work, staged, RENAME_WHITEOUT)
        else:
            mark = self.whiteouts.stage_in_attribute(parent)
            with self.workdir.discarding(mark):
                if self.abilities.exchange:
                    self.exchange(self.work, mark, parent, name)
                    return mark
                os.rename(name, staged, src_dir_fd=fd, dst_dir_fd=work)
                os.rename(mark, name, src_dir_fd=work, dst_dir_fd=fd)
        return staged

    def unlink(self, parent: Directory, name: bytes) -> None:
        """Remove the non-directory *name*, leaving nothing."""
        os.unlink(name, dir_fd=parent.fd())

    def discard(self, staged: bytes) -> None:
        """Remove *staged* from the workdir, as ``Workdir.discard``."""
        self.workdir.discard(staged)

    # Renaming.

    def rename(self, source: Directory, name: bytes, target: Directory, new_name: bytes, move: Move) -> None:
        """Rename *name* to *new_name*, over what stands there, in an order that hides nothing and bares nothing hidden.

        A flag of renameat2 leaves overlayfs's whiteout in the same call. A ``.wh.`` file is written first, since it is
        harmless beside its own file, and beside a directory with a redirect. A whiteout in attribute form is put in the
        target's place first and then exchanged with what moves; only a file that shows there isn't hidden before.

        Raises:
            OSError: EXDEV for a directory where there is no such order, and what rename gives.
        """
        form = self.whiteouts.form_for(name) if move.leaves_whiteout else None
        if form is WhiteoutForm.PREFIX:
            with self.whiteouts.prefixing(source, name):
                self.rename(source, name, target, new_name, move._replace(leaves_whiteout=False))
            return
        if form is WhiteoutForm.ATTRIBUTE:
            self._rename_leaving_attribute(source, name, target, new_name, move)
        elif move.directory and move.over_whiteout and target.has(new_name):
            self._swap(source, name, target, new_name)
            if form is not WhiteoutForm.DEVICE:
                self._remove_swapped(source, name, target, new_name)
        else:
            flags = RENAME_WHITEOUT if form is WhiteoutForm.DEVICE else 0
            renameat2(source.fd(), name, target.fd(), new_name, flags)
        if move.over_whiteout:
            self.whiteouts.remove_prefixed(target, new_name)

    def _rename_leaving_attribute(
        self, source: Directory, name: bytes, target: Directory, new_name: bytes, move: Move
    ) -> None:
        if not move.directory and (move.replaces or not self.abilities.exchange):
            self._link_and_cover(source, name, target, new_name)
            return
        if not self.abilities.exchange:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        staged, work = self.whiteouts.stage_in_attribute(target), self.work.fd()
        covered = not move.over_whiteout and target.has(new_name)
        flags = RENAME_EXCHANGE if covered else 0
        with self.workdir.discarding(staged):
            renameat2(work, staged, target.fd(), new_name, flags)
        try:
            self._swap(source, name, target, new_name)
        except OSError:
            if not move.over_whiteout:
                renameat2(target.fd(), new_name, work, staged, flags)
                self.discard(staged)
            raise
        if covered:
            self.discard(staged)

    def _link_and_cover(self, source: Directory, name: bytes, target: Directory, new_name: bytes) -> None:
        """Give a file its new name, and then cover the old one; what the new name held is kept until both are done."""
        mark, staged = self.whiteouts.stage_in_attribute(source), self.workdir.staged_name()
        stands = target.has(new_name)
        covered = stands and self.abilities.exchange
        with self.workdir.discarding(mark), self.workdir.discarding(staged):
            _link(source, name, self.work, staged)
            if covered:
                self.exchange(self.work, staged, target, new_name)
            else:
                self.replace(staged, target, new_name)
            try:
                self.replace(mark, source, name)
            except OSError:
                if covered:
                    self.exchange(self.work, staged, target, new_name)
                elif not stands:
                    self.unlink(target, new_name)
                raise
        if covered:
            self.discard(staged)

    def _swap(self, source: Directory, name: bytes, target: Directory, whiteout_name: bytes) -> None:
        """Exchange an entry with a whiteout, which stays one where it arrives."""
        if stat.S_ISREG(target.status(whiteout_name).st_mode):
            self.whiteouts.expect_attributes(source)
        self.exchange(source, name, target, whiteout_name)

    def _remove_swapped(self, source: Directory, name: bytes, target: Directory, new_name: bytes) -> None:
        """Remove the whiteout that was exchanged with what moved, and isn't needed; or undo the exchange."""
        try:
            os.unlink(name, dir_fd=source.fd())
        except OSError:
            self.exchange(source, name, target, new_name)
            raise

    def exchange(self, source: Directory, name: bytes, target: Directory, new_name: bytes) -> None:
        """Exchange two entries of the upper in one step."""
        renameat2(source.fd(), name, target.fd(), new_name, RENAME_EXCHANGE)

    @contextlib.contextmanager
    def emptied(self, directory: Directory) -> Iterator[None]:
        """Replace *directory*, which holds nothing but whiteouts, by an empty one that shows the same, in one step.

        Where what is done with it fails it is marked as any opaque directory.

        Raises:
            OSError: EXDEV where nothing can be exchanged, or an empty directory can't be opaque, so that the caller
                copies instead of renaming.
        """
        parent = directory.parent
        if self.abilities.namespace is None or not self.abilities.exchange:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        assert parent is not None
        attributes, _ = directory.examine()
        staged = self.stage(New(Ownership.of(attributes)))
        with self.workdir.discarding(staged):
            self.marking.set(self.work, staged, private_xattrs.OPAQUE, b"y")
            self.metadata.copy_xattrs(parent, directory.name, self.work, staged)
            self.exchange(self.work, staged, parent, directory.name)
        directory.tree.descriptors.drop(directory)
        self.discard(staged)
        try:
            yield
        except OSError:
            self.marking.make_opaque(directory)
            raise


def _link(source: Directory, name: bytes, target: Directory, new_name: bytes) -> None:
    os.link(name, new_name, src_dir_fd=source.fd(), dst_dir_fd=target.fd(), follow_symlinks=False)
