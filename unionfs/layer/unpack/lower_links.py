"""Hard links of a layer to files of the layers beneath: the file is copied in, with everything that it shows.

The OCI image-spec lets such a link fail; other tools write them all the same.
"""

import os
from collections import OrderedDict

from unionfs.layer import private_xattrs
from unionfs.layer.directory import SELF, Directory
from unionfs.layer.entry import Entry, Kind
from unionfs.layer.ownership import Ownership
from unionfs.layer.unpack import below, paths
from unionfs.layer.unpack.below import Beneath, LowerDirectory
from unionfs.layer.unpack.errors import LayerError
from unionfs.layer.unpack.inode import InodeWriter
from unionfs.linux.copy import copy_content
from unionfs.tar import printable

_REMEMBERED = 64
_NEW = b".new"


class LowerLinks:
    """Fills the files that stand for such links, in the open directory *fd*, with at most *limit* bytes in all."""

    def __init__(self, fd: int, beneath: Beneath, inodes: InodeWriter, limit: int) -> None:
        self._fd = fd
        self._inodes = inodes
        self._limit = limit
        self._copied = 0
        self._roots = beneath
        self._remembered: OrderedDict[bytes, Beneath] = OrderedDict()

    def fill(self) -> dict[int, bytes]:
        """Put the targets' content into the files that stand for them.

        What isn't a regular file is made beside its stand-in; its name is given by the stand-in's inode number.

        Raises:
            LayerError: a target isn't there, is a directory, can't be copied, or is one too many for the limit.
        """
        replacements: dict[int, bytes] = {}
        for stand_in in map(os.fsencode, os.listdir(self._fd)):
            fd = os.open(stand_in, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)
            try:
                with open(fd, "rb", closefd=False) as file:
                    target, _, link = file.read().partition(b"\0")
                try:
                    self._fill_one(fd, stand_in, target, replacements)
                except OSError as error:
                    raise _refused(link, target, f"can't be copied: {error.strerror}") from error
                except LookupError as error:
                    raise _refused(link, target, str(error.args[0])) from None
            finally:
                os.close(fd)
        return replacements

    def _fill_one(self, fd: int, stand_in: bytes, target: bytes, replacements: dict[int, bytes]) -> None:
        source, entry = self._find(target)
        directory, name = source.directory, target.rpartition(b"/")[2]
        attributes, _ = directory.examine(name)
        shown, shown_xattrs = Ownership.of(attributes), xattrs_shown(directory, name)
        os.ftruncate(fd, 0)
        if entry.kind is Kind.FILE:
            self._copied += attributes.blocks * 512
            if self._copied > self._limit:
                raise LayerError(
                    f"{printable(target)}: its copy for a hard link is over the limit of {self._limit} (bytes)", "bytes"
                )
            _copy(directory, name, fd)
            self._inodes.write(fd, shown, shown_xattrs, target)
            os.utime(fd, ns=(attributes.atime_ns, attributes.mtime_ns))
            return
        made = stand_in + _NEW
        if entry.kind is Kind.SYMLINK:
            os.symlink(directory.readlink(name), made, dir_fd=self._fd)
            self._inodes.write_link(self._fd, made, shown, shown_xattrs)
        else:
            self._inodes.make_special(self._fd, made, shown, shown_xattrs)
        os.utime(made, ns=(attributes.atime_ns, attributes.mtime_ns), dir_fd=self._fd, follow_symlinks=False)
        replacements[os.fstat(fd).st_ino] = made

    def _find(self, target: bytes) -> tuple[LowerDirectory, Entry]:
        path, _, name = target.rpartition(b"/")
        found = below.find(self._beneath(path), name)
        if found is None:
            raise LookupError("isn't there, neither in this layer nor beneath it")
        if found[1].kind is Kind.DIR:
            raise LookupError("is a directory")
        return found

    def _beneath(self, path: bytes) -> Beneath:
        """Give what is beneath the directory *path*, from the nearest one above it that is remembered."""
        missing: list[bytes] = []
        while path and path not in self._remembered:
            path, _, name = path.rpartition(b"/")
            missing.append(name)
        found = self._remembered.get(path, self._roots)
        while missing:
            name = missing.pop()
            path = paths.join(path, name)
            found = below.descend(found, name)
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.popitem(last=False)
            self._remembered[path] = found
        return found


def xattrs_shown(directory: Directory, name: bytes = SELF) -> dict[bytes, bytes]:
    """Give the extended attributes that *name* shows, under the names that they are shown by."""
    shown = {}
    for on_disk in directory.xattr_names(name):
        visible = private_xattrs.unescape(on_disk)
        value = None if visible is None else directory.xattr(name, on_disk)
        if visible is not None and value is not None:
            shown[visible] = value
    return shown


def _copy(directory: Directory, name: bytes, target: int) -> None:
    source = directory.open(name, os.O_RDONLY)
    try:
        copy_content(source, target, os.fstat(source).st_size)
    finally:
        os.close(source)


def _refused(link: bytes, target: bytes, why: str) -> LayerError:
    return LayerError(f"{printable(link)}: the target {printable(target)} of the hard link {why}")
