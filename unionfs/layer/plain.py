"""The plain form of an upper, which every overlay reads: devices 0:0 as whiteouts, opaque directories, no other mark.

Owns what is to be changed in one directory for that, and in which order, so that a killed process leaves what shows
the same. Whatever the layers beneath have to give must be in the upper by then.
"""

import errno
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from unionfs.layer import private_xattrs
from unionfs.layer.abilities import WhiteoutForm
from unionfs.layer.attributes import Attributes
from unionfs.layer.directory import SELF, Directory
from unionfs.layer.kept import kept
from unionfs.layer.marks import Marks
from unionfs.layer.metadata import set_times
from unionfs.layer.ownership import Ownership
from unionfs.layer.upper import New, Upper
from unionfs.layer.walk import listing, path_of, walk
from unionfs.layer.whiteout import OPAQUE_MARKER, Written, written
from unionfs.linux import xattrs


class Need(NamedTuple):
    """An entry that can't be made plain without the layers beneath: its path in the upper, and why."""

    path: bytes
    reason: str


def needs(root: Directory) -> Iterator[Need]:
    """Give what in the upper *root* goes on in the layers beneath.

    Raises:
        OSError: EIO for a redirect that isn't valid, and what reading gives.
    """
    for directory in walk(root):
        marks = directory.marks()
        if marks.redirect is not None and not directory.is_opaque(marks):
            yield Need(path_of(directory), "a renamed directory, whose content is in the lower layers")
        for entry in listing(directory):
            if entry.is_file(follow_symlinks=False) and directory.marks(entry.name).metacopy:
                yield Need(path_of(directory, entry.name), "a file whose content is in the lower layers")


class Plain:
    """Makes an upper plain, with marks in *namespace*."""

    def __init__(self, upper: Upper, namespace: bytes) -> None:
        self._upper = upper
        self._namespace = namespace
        self._made_real: dict[int, tuple[Directory, bytes]] = {}

    def make(self) -> None:
        """Make the whole upper plain.

        Raises:
            OSError: the upper can't be changed, or its file system can't hold the plain form.
        """
        # Files first: the mark of one without its own content may lead through a directory's mark.
        for directory in walk(self._upper.root):
            for entry in listing(directory):
                if not entry.is_dir(follow_symlinks=False):
                    self._make_entry_plain(directory, entry.name)
        alone: dict[Directory | None, bool] = {None: False}
        for directory in walk(self._upper.root):
            marks = directory.marks()
            alone[directory] = alone[directory.parent] or self._is_alone(directory, marks)
            self._make_whiteouts_plain(directory, marks, alone=alone[directory])
            self._make_owner_real(directory, SELF, marks)

    @staticmethod
    def _is_alone(directory: Directory, marks: Marks) -> bool:
        """Tell whether nothing beneath *directory* is to show: what a redirect led to is in the upper by now."""
        return marks.redirect is not None or directory.is_opaque(marks)

    def _make_whiteouts_plain(self, directory: Directory, marks: Marks, *, alone: bool) -> None:
        entries = listing(directory)
        found = list(written(entries, directory, xattr_whiteouts=marks.xattr_whiteouts))
        marked = any(entry.name == OPAQUE_MARKER for entry in entries)
        if not marked and not (found and alone) and all(whiteout.is_device for whiteout in found):
            self._make_opacity_plain(directory, marks)
            return
        with kept(self._namespace, directory):
            for whiteout in found:
                if whiteout.name == whiteout.hidden or not alone:
                    self._as_device(directory, whiteout)
            self._make_opacity_plain(directory, marks)
            if marked:
                self._upper.unlink(directory, OPAQUE_MARKER)
            for whiteout in found if alone else ():
                self._upper.unlink(directory, whiteout.name)

    def _make_opacity_plain(self, directory: Directory, marks: Marks) -> None:
        """Say in overlayfs's way whether the directory is opaque; its whiteouts are devices by now."""
        if self._is_alone(directory, marks):
            mark = self._namespace + private_xattrs.OPAQUE
            if directory.xattr(SELF, mark) != b"y":
                xattrs.set_(directory.path(), mark, b"y")
            self._upper.marking.remove(directory, SELF, private_xattrs.REDIRECT)
        elif marks.xattr_whiteouts:
            self._upper.marking.remove(directory, SELF, private_xattrs.OPAQUE)

    def _as_device(self, directory: Directory, whiteout: Written) -> None:
        """Write *whiteout* as a device, unless it is one."""
        if whiteout.is_device:
            return
        if self._upper.abilities.whiteouts is not WhiteoutForm.DEVICE:
            raise OSError(errno.EPERM, "the file system can't hold a whiteout of overlayfs (a device 0:0)")
        if whiteout.name == whiteout.hidden:
            self._upper.replace(self._upper.whiteouts.stage(directory), directory, whiteout.name)
            return
        if not directory.has(whiteout.hidden):
            self._upper.white_out(directory, whiteout.hidden)
        elif stat.S_ISDIR(directory.status(whiteout.hidden).st_mode):
            self._keep_opaque(directory.child(whiteout.hidden))
        self._upper.unlink(directory, whiteout.name)

    def _keep_opaque(self, directory: Directory) -> None:
        """Say on the directory itself what the ``.wh.`` file beside it says."""
        if directory.is_opaque(directory.marks()):
            xattrs.set_(directory.path(), self._namespace + private_xattrs.OPAQUE, b"y")

    def _make_entry_plain(self, directory: Directory, name: bytes) -> None:
        present = directory.xattr_names(name)
        if not any(private_xattrs.is_private(attribute) for attribute in present):
            return
        self._make_owner_real(directory, name, directory.marks(name))
        for mark in (private_xattrs.METACOPY, private_xattrs.REDIRECT, private_xattrs.ORIGIN):
            self._upper.marking.remove(directory, name, mark)

    # Owners that an attribute records.

    def _make_owner_real(self, directory: Directory, name: bytes, marks: Marks) -> None:
        """Give the entry the owner that it shows, where owners can be set; otherwise the attribute has to stay."""
        if marks.ownership is None:
            return
        status = directory.status(name)
        shown = Attributes(status)
        marks.ownership.apply(shown)
        if not self._upper.metadata.is_real(Ownership.of(shown)):
            return
        if shown.type_bits != stat.S_IFMT(status.st_mode):
            self._make_real(directory, name, status, Ownership.of(shown))
            return
        with kept(self._namespace, directory, name):
            self._upper.metadata.change(directory, name, shown, Ownership.of(shown), chown=False, chmod=False)

    def _make_real(self, directory: Directory, name: bytes, status: os.stat_result, wanted: Ownership) -> None:
        """Put a device, FIFO or socket in the place of the file that stands for it, at each of its names."""
        with kept(self._namespace, directory):
            made = self._made_real.get(status.st_ino)
            if made is None:
                staged = self._upper.stage(New(wanted))
                self._upper.metadata.copy_xattrs(directory, name, self._upper.work, staged)
                set_times(self._upper.work, staged, status.st_atime_ns, status.st_mtime_ns)
                self._made_real[status.st_ino] = (directory, name)
            else:
                staged = self._upper.workdir.staged_name()
                self._upper.link(*made, self._upper.work, staged, over_whiteout=False)
            self._upper.replace(staged, directory, name)
