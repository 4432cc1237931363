"""Writing a tree beneath one directory.

Owns the order: a directory is the caller's alone until all in it is written, and what isn't a directory is made under a
name of its own and then put into place by a rename. So a link that stands at a name is replaced, and never written
through, and what is interrupted leaves no half of a file.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, Self

from unionfs.copyout.error import writing
from unionfs.copyout.metadata import Metadata
from unionfs.layer.attributes import Attributes
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import Directory, Tree
from unionfs.layer.walk import path_of
from unionfs.linux.copy import copy_content
from unionfs.view import Entry, View

_DESCRIPTORS = 128
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DEVICES = (stat.S_IFCHR, stat.S_IFBLK)


class _Entered(NamedTuple):
    """A directory that is being copied: its path in the tree, its copy, and what that gets in the end, if anything."""

    path: bytes
    directory: Directory
    metadata: Metadata | None


class Copying:
    """One copy into the directory *target*, whose own attributes stay; a context manager.

    ``left_out`` are the paths in the tree of devices that weren't made.
    """

    def __init__(self, view: View, target: bytes, *, everything: bool) -> None:
        self._view = view
        self._target = target
        self._everything = everything
        self.left_out: list[bytes] = []
        self._linked: dict[int, tuple[Directory, bytes]] = {}
        self._entered: list[_Entered] = []
        with writing(target):
            fd = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._descriptors = Descriptors(_DESCRIPTORS)
        # What is mounted in the directory is the caller's, so that nothing but links is to be kept out.
        tree = Tree(self._descriptors, os.fstat(fd).st_dev, position=0, confined=True)
        self._root = Directory(tree, None, b"", fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._descriptors.close()
        self._root.close()

    def copy(self, source: bytes, name: bytes | None) -> None:
        """Copy the path *source* of the tree as *name*; without a name, what is in it.

        Raises:
            TargetError: it can't be written.
            OSError: it can't be read.
        """
        for entry in self._view.walk(source):
            if entry.path != source:
                while not _is_in(entry.path, self._entered[-1].path):
                    self._leave()
                self._put(entry, self._entered[-1].directory, entry.path.rpartition(b"/")[2])
            elif name is None:
                self._entered.append(_Entered(source, self._root, None))
            else:
                self._put(entry, self._root, name)
        while self._entered:
            self._leave()

    def _leave(self) -> None:
        """Finish the directory that was entered last."""
        _, directory, metadata = self._entered.pop()
        if metadata is not None:
            with self._writing(directory), directory.opened() as fd:
                metadata.give_open(fd)
        self._descriptors.drop(directory)

    def _put(self, entry: Entry, parent: Directory, name: bytes) -> None:
        if entry.attributes.is_directory:
            self._enter(entry, parent, name)
            return
        with self._writing(parent, name):
            _refuse_directory(parent, name)
        if entry.attributes.nlink > 1:
            known = self._linked.get(entry.attributes.ino)
            if known is not None:
                self._link(known, parent, name)
                return
        if entry.attributes.type_bits in _DEVICES and not self._everything:
            self.left_out.append(entry.path)
            return
        self._make(entry, parent, name)
        if entry.attributes.nlink > 1:
            self._linked[entry.attributes.ino] = parent, name

    def _enter(self, entry: Entry, parent: Directory, name: bytes) -> None:
        metadata: Metadata | None = self._metadata(entry)
        with self._writing(parent, name):
            is_new = _make_directory(parent, name)
        self._entered.append(_Entered(entry.path, parent.child(name), metadata if is_new or self._everything else None))

    def _metadata(self, entry: Entry) -> Metadata:
        return Metadata.of(self._view, entry, everything=self._everything)

    def _link(self, known: tuple[Directory, bytes], parent: Directory, name: bytes) -> None:
        first, first_name = known
        with self._writing(parent, name), self._staged(parent, name) as staged:
            os.link(first_name, staged, src_dir_fd=first.fd(), dst_dir_fd=parent.fd(), follow_symlinks=False)

    def _make(self, entry: Entry, parent: Directory, name: bytes) -> None:
        metadata = self._metadata(entry)
        if entry.attributes.is_regular:
            with self._view.open(entry.path) as content, self._writing(parent, name):
                self._make_file(content.fileno(), entry.attributes.size, metadata, parent, name)
            return
        target = self._view.readlink(entry.path) if stat.S_ISLNK(entry.attributes.mode) else b""
        with self._writing(parent, name), self._staged(parent, name) as staged:
            _make_special(entry.attributes, target, parent, staged)
            metadata.give(parent, staged)

    def _make_file(self, content: int, size: int, metadata: Metadata, parent: Directory, name: bytes) -> None:
        with self._staged(parent, name) as staged:
            fd = os.open(staged, _NEW, 0o600, dir_fd=parent.fd())
            try:
                copy_content(content, fd, size)
                metadata.give_open(fd)
            finally:
                os.close(fd)

    @contextmanager
    def _staged(self, parent: Directory, name: bytes) -> Iterator[bytes]:
        """Give a name for something that then takes the place of *name*."""
        staged = b".unionfs-cp-" + secrets.token_hex(8).encode()
        try:
            yield staged
            os.rename(staged, name, src_dir_fd=parent.fd(), dst_dir_fd=parent.fd())
        finally:
            # After a rename it is gone, unless both names were of one file, when rename(2) does nothing.
            with suppress(FileNotFoundError):
                os.unlink(staged, dir_fd=parent.fd())

    @contextmanager
    def _writing(self, directory: Directory, name: bytes = b"") -> Iterator[None]:
        """Let an error of writing name the path on this machine."""
        with writing(os.path.join(self._target, path_of(directory, name))):
            yield


def _is_in(path: bytes, above: bytes) -> bool:
    return not above or path.startswith(above + b"/")


def _make_special(shown: Attributes, target: bytes, parent: Directory, name: bytes) -> None:
    if stat.S_ISLNK(shown.mode):
        os.symlink(target, name, dir_fd=parent.fd())
    else:
        os.mknod(name, shown.type_bits | 0o600, shown.rdev, dir_fd=parent.fd())


def _make_directory(parent: Directory, name: bytes) -> bool:
    """Make a directory; False where there is one."""
    try:
        os.mkdir(name, 0o700, dir_fd=parent.fd())
    except FileExistsError:
        if not stat.S_ISDIR(parent.status(name).st_mode):
            raise OSError(errno.ENOTDIR, "a directory can't be copied over what is no directory") from None
        return False
    return True


def _refuse_directory(parent: Directory, name: bytes) -> None:
    if parent.has(name) and stat.S_ISDIR(parent.status(name).st_mode):
        raise OSError(errno.EISDIR, "a directory can't be replaced by what is none")
