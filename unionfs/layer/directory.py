"""One directory of a layer, reached from the layer's root one component at a time.

Owns how an entry is addressed: by the descriptor of its directory and its name, never by a whole path, so that no
depth meets PATH_MAX and no symbolic link that another process puts there is followed. ``b"."`` names the directory
itself.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from unionfs.layer.attributes import Attributes
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.entry import Entry
from unionfs.layer.marks import NO_MARKS, Marks, read_marks
from unionfs.layer.pace import Pace
from unionfs.layer.whiteout import OPAQUE_MARKER, PREFIX, decode, find, fits_prefix
from unionfs.linux import xattrs
from unionfs.linux.birth import birth_time_ns
from unionfs.linux.resolve import openat2

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# As much as is copied while a step is handed to another thread, in bytes.
SHORT = 128 << 10
SELF = b"."


class Tree:
    """What the directories of one layer share.

    ``position`` is the layer's place in the stack, 0 for the one on top of the lowers; ``device`` the number of its
    file system. ``confined`` says that submounts are out of reach (a private clone of the mount), so that opening a
    component needs no further rule. ``in_memory``: its file system has no device that is waited
    for. ``holds_prefixes``: a ``.wh.`` file was seen in it; ``holds_records``: an owner or type that is recorded in an
    attribute. ``pace``: how quickly its directories were read.
    """

    __slots__ = (
        "confined", "descriptors", "device", "holds_prefixes", "holds_records", "in_memory", "pace", "position",
        "reads_without_waiting",
    )  # fmt: skip

    def __init__(
        self, descriptors: Descriptors, device: int, *, position: int, confined: bool, in_memory: bool = False
    ) -> None:
        self.descriptors = descriptors
        self.device = device
        self.position = position
        self.confined = confined
        self.holds_prefixes = False
        self.holds_records = False
        self.in_memory = in_memory
        self.reads_without_waiting = not in_memory
        self.pace = Pace()

    def is_at_hand(self, fd: int, start: int, length: int) -> bool:
        """Tell whether a range of the file *fd* is short and in memory, so that it can be copied without waiting."""
        if length > SHORT or not self.reads_without_waiting:
            return length <= SHORT and self.in_memory
        try:
            return os.preadv(fd, [bytearray(length)], start, os.RWF_NOWAIT) == length
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EOPNOTSUPP):
                raise
            return False

    def open_component(self, directory_fd: int, name: bytes) -> int:
        """Open the directory *name* in *directory_fd* as a place to start from.

        Raises:
            OSError: ENOTDIR or ELOOP when something else stands there now.
        """
        if self.confined:
            return os.open(name, _DIRECTORY, dir_fd=directory_fd)
        return openat2(directory_fd, name, _DIRECTORY)


class Directory:
    """A directory of a layer. In the upper, ``parent`` and ``name`` change when it is renamed."""

    __slots__ = ("name", "parent", "root_fd", "tree")

    def __init__(self, tree: Tree, parent: "Directory | None", name: bytes, root_fd: int = -1) -> None:
        self.tree = tree
        self.parent = parent
        self.name = name
        self.root_fd = root_fd

    def close(self) -> None:
        """Close the root of a layer that nobody uses any more; the descriptors beneath it are the cache's."""
        os.close(self.root_fd)

    def child(self, name: bytes) -> "Directory":
        """Give the directory *name* in this one; that it exists is the caller's knowledge."""
        return Directory(self.tree, self, name)

    def fd(self) -> int:
        """Give a descriptor to start from; it stays open for the operation at hand.

        Raises:
            OSError: the directory, or one above it, is no longer there.
        """
        if self.parent is None:
            return self.root_fd
        known = self.tree.descriptors.get(self)
        if known is not None:
            return known
        fd = self._open()
        self.tree.descriptors.add(self, fd)
        return fd

    def _open(self) -> int:
        """Descend from the nearest open ancestor; the directories passed through aren't kept open."""
        below: list[Directory] = [self]
        start = self.parent
        while start is not None and start.parent is not None:
            if self.tree.descriptors.get(start) is not None:
                break
            below.append(start)
            start = start.parent
        assert start is not None
        fd, ours = start.fd(), False
        for directory in reversed(below):
            try:
                deeper = self.tree.open_component(fd, directory.name)
            finally:
                if ours:
                    os.close(fd)
            fd, ours = deeper, True
        return fd

    def path(self, name: bytes = SELF) -> bytes:
        """Give the path of *name* for the calls that take only paths: /proc/self/fd/DIRECTORY/NAME."""
        return b"/proc/self/fd/%d/%s" % (self.fd(), name)

    def status(self, name: bytes = SELF) -> os.stat_result:
        """Give what stat(2) tells of *name* itself, as it is on disk.

        Raises:
            OSError: ENOENT when it isn't there, or what reaching it gives.
        """
        if name == SELF:
            return os.fstat(self.fd())
        return os.stat(name, dir_fd=self.fd(), follow_symlinks=False)

    def _attributes_path(self, name: bytes) -> bytes:
        """Give a path for reading attributes: of the directory itself through its parent, since it may be closed."""
        return self.path(name) if name != SELF or self.parent is None else self.parent.path(self.name)

    def marks(self, name: bytes = SELF) -> Marks:
        """Read the private attributes of *name*."""
        marks = read_marks(self._attributes_path(name))
        if marks is not NO_MARKS and marks.ownership is not None:
            self.tree.holds_records = True
        return marks

    def examine(self, name: bytes = SELF) -> tuple[Attributes, Marks]:
        """Give the attributes that *name* shows, and its marks.

        Raises:
            OSError: ENOENT when it isn't there, or what reaching it gives.
        """
        attributes = Attributes(self.status(name))
        marks = self.marks(name)
        if marks is not NO_MARKS and marks.ownership is not None:
            marks.ownership.apply(attributes)
        return attributes, marks

    def scan(self) -> dict[bytes, Entry]:
        """List and decode the names of this directory.

        Raises:
            OSError: the directory can't be read.
        """
        xattr_whiteouts = self.marks().xattr_whiteouts
        with os.scandir(self.path()) as listing:
            return decode(listing, self, xattr_whiteouts=xattr_whiteouts)

    def lookup(self, name: bytes) -> Entry | None:
        """Give what *name* is in this directory, a whiteout too, or None where it isn't.

        Raises:
            OSError: it can't be examined.
        """
        return find(self, name)

    def is_opaque(self, marks: Marks) -> bool:
        """Tell whether nothing beneath this directory, which has *marks*, shows.

        By attribute, by the marker file in it, or by a ``.wh.`` file beside it: that hides what the layers beneath
        have, and the directory is this layer's own (OCI image-spec, layer.md). A redirect says that something shows.
        """
        if marks.opaque or self._has_marker():
            return True
        if not self.tree.holds_prefixes or self.parent is None or marks.redirect is not None:
            return False
        return fits_prefix(self.name) and self.parent.has(PREFIX + self.name)

    def _has_marker(self) -> bool:
        try:
            return self.has(OPAQUE_MARKER)
        except PermissionError:
            # Nobody here may look into it, nor into what it is merged with then.
            return True

    def has(self, name: bytes) -> bool:
        """Tell whether anything stands at *name* on disk."""
        try:
            self.status(name)
        except FileNotFoundError:
            return False
        return True

    def birth_time_ns(self, name: bytes = SELF) -> int | None:
        """Give when *name* was made, as far as its file system keeps that.

        Raises:
            OSError: ENOENT when it isn't there.
        """
        return birth_time_ns(self.fd(), name)

    def readlink(self, name: bytes) -> bytes:
        """Give the target of the symbolic link *name*."""
        return os.readlink(name, dir_fd=self.fd())

    def open(self, name: bytes, flags: int) -> int:
        """Open the regular file *name*; a symbolic link or device that stands there now isn't followed or opened.

        Raises:
            OSError: ESTALE when it is no longer a regular file, and what open(2) gives.
        """
        fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self.fd())
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), name)
        return fd

    @contextlib.contextmanager
    def opened(self, name: bytes = SELF) -> Iterator[int]:
        """Keep the regular file *name*, or the directory itself, open for what a place to start from can't do."""
        if name == SELF:
            fd = os.open(self.path(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        else:
            fd = self.open(name, os.O_RDONLY)
        try:
            yield fd
        finally:
            os.close(fd)

    def xattr_names(self, name: bytes = SELF) -> list[bytes]:
        """Give the names of all attributes of *name*, as they are on disk."""
        return xattrs.list_names(self._attributes_path(name))

    def xattr(self, name: bytes, attribute: bytes) -> bytes | None:
        """Give one attribute of *name*, or None."""
        return xattrs.get(self._attributes_path(name), attribute)
