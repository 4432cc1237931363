"""Reading and writing regular files.

Owns which descriptor an inode is read or written through, and which steps may block: a read that the page cache can't
answer, and syncing.
"""

import contextlib
import errno
import functools
import os
import stat
from collections.abc import Sequence

from unionfs.layer.directory import Directory
from unionfs.layer.metadata import set_permissions, without_set_id
from unionfs.layer.upper import Upper
from unionfs.linux.files import allocate
from unionfs.union.copy_up import CopyUp, content_of
from unionfs.union.inode import DirectoryInode, Inode
from unionfs.union.nodes import Nodes
from unionfs.union.open_files import OpenFile
from unionfs.union.prefetch import Prefetch
from unionfs.union.step import Last, Operation, Step

_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class Content:
    """The content of files. ``upper`` and ``copy_up`` are None on a read-only mount."""

    def __init__(
        self, nodes: Nodes, upper: Upper | None, copy_up: CopyUp | None, *, volatile: bool, prefetch: bool
    ) -> None:
        self._nodes = nodes
        self._upper = upper
        self._copy_up = copy_up
        self._volatile = volatile
        self._prefetch = Prefetch() if prefetch else None

    def readable(self, node: Inode) -> OpenFile:
        """Give a descriptor through which *node* can be read.

        Raises:
            OSError: EIO where the content is missing, and what open(2) gives.
        """
        opened = self._nodes.files.get(node.number)
        if opened is not None:
            return opened
        place = content_of(node)
        return self._open(node, place.directory, place.name, os.O_RDONLY)

    def writable(self, node: Inode) -> OpenFile:
        """Give a descriptor through which *node*, whose content is in the upper, can be written and read."""
        opened = self._nodes.files.get(node.number)
        if opened is not None and opened.writable:
            return opened
        return self._open(node, node.place.directory, node.place.name, os.O_RDWR)

    def settled(self, node: Inode, *, writable: bool) -> OpenFile | None:
        """Give an open file of *node*, whose content no copy-up will move any more; None where one may.

        Raises:
            OSError: what open(2) gives, and EIO where the content is missing.
        """
        if node.type_bits != stat.S_IFREG:
            return None
        if self._copy_up is not None and not node.is_whole_in_upper:
            return None
        return self.writable(node) if writable else self.readable(node)

    def _open(self, node: Inode, directory: Directory, name: bytes, flags: int) -> OpenFile:
        try:
            fd = directory.open(name, flags)
        except OSError as error:
            if error.errno not in _OUT_OF_DESCRIPTORS:
                raise
            self._nodes.files.shrink()
            directory.tree.descriptors.shrink()
            fd = directory.open(name, flags)
        return self._nodes.files.add(node.number, fd, writable=flags == os.O_RDWR)

    def open(self, node: Inode, flags: int) -> Operation[None]:
        """Prepare *node* for being read or written as *flags* say; reads and writes are right without it too.

        Raises:
            OSError: EROFS on a read-only mount, and what copying up or opening gives.
        """
        writes = flags & os.O_ACCMODE != os.O_RDONLY
        if writes:
            yield from self.copied_up(node)
        elif node.type_bits == stat.S_IFREG:
            self.readable(node)

    def copied_up(self, node: Inode, *, size: int | None = None) -> Operation[bool]:
        """Have the content of *node* in the upper, of which *size* bytes at most are needed; True: it was cut to them.

        Raises:
            OSError: EROFS on a read-only mount, and what copying gives.
        """
        if self._copy_up is None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return (yield from self._copy_up.inode(node, size=size))

    def read(self, node: Inode, offset: int, size: int) -> Operation[bytes]:
        """Give up to *size* bytes from *offset*; fewer only at the end of the file.

        What the page cache holds is given at once; the rest is read in a blocking step, since to the kernel a short
        answer is the end of the file.
        """
        opened = self.readable(node)
        tree = content_of(node).directory.tree
        if not tree.reads_without_waiting:
            return os.pread(opened.fd, size, offset)
        piece = bytearray(size)
        try:
            count = os.preadv(opened.fd, [piece], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            count = 0
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            # tmpfs: whatever is there is in memory.
            tree.reads_without_waiting = False
            return os.pread(opened.fd, size, offset)
        is_whole = count == size or offset + count >= os.fstat(opened.fd).st_size
        if not offset and self._prefetch is not None:
            ahead = self._prefetch.note(node, cold=not is_whole)
            if ahead is not None:
                yield ahead
        if is_whole:
            return bytes(memoryview(piece)[:count])
        with opened.held() as fd:
            whole: bytes = yield Last(functools.partial(_read_on, piece, count, fd, offset))
        return whole

    def write(
        self, node: Inode, offset: int, content: bytes | memoryview, *, keep_set_id: bool, keep_mtime: bool = False
    ) -> Operation[int]:
        """Write *content* at *offset*, copying up first; a writer without privilege takes set-id bits away.

        *content* need hold only until the operation is done or yields. With *keep_mtime* the file was changed earlier,
        and its time is set, before or after, by who knows when.

        Fewer bytes than given are written only where the next one fails (write(2)).

        Raises:
            OSError: EROFS, ENOSPC, EFBIG and others of copying and writing.
        """
        if not node.is_whole_in_upper:
            content = bytes(content)
            yield from self.copied_up(node)
        opened = self.writable(node)
        if not keep_set_id:
            self.clear_set_id(node, opened.fd)
        before = os.fstat(opened.fd) if keep_mtime else None
        written = _write_all(opened.fd, content, offset)
        if before is not None:
            # Who may write a file that isn't theirs may not set its times.
            with contextlib.suppress(PermissionError):
                os.utime(opened.fd, ns=(before.st_atime_ns, before.st_mtime_ns))
        return written

    def truncate(self, node: Inode, size: int, *, keep_set_id: bool) -> Operation[None]:
        """Set the size of *node*; of a file of the lowers no more than *size* bytes are copied up."""
        is_cut = yield from self.copied_up(node, size=size)
        opened = self.writable(node)
        if not keep_set_id:
            self.clear_set_id(node, opened.fd)
        if not is_cut:
            os.ftruncate(opened.fd, size)

    def allocate(self, node: Inode, mode: int, offset: int, length: int, *, keep_set_id: bool) -> Operation[None]:
        """Allocate, zero or free a range of *node* as fallocate(2) does."""
        yield from self.copied_up(node)
        opened = self.writable(node)
        if not keep_set_id:
            self.clear_set_id(node, opened.fd)
        with opened.held() as fd:
            yield functools.partial(allocate, fd, mode, offset, length)

    def seek(self, node: Inode, offset: int, whence: int) -> int:
        """Give where the next data or hole is (lseek(2), SEEK_DATA and SEEK_HOLE).

        Raises:
            OSError: ENXIO beyond the end.
        """
        return os.lseek(self.readable(node).fd, offset, whence)

    def copy_range(
        self, source: Inode, start: int, target: Inode, offset: int, length: int, *, keep_set_id: bool
    ) -> Operation[int]:
        """Copy a range between two files where the file systems beneath can; give the number of bytes.

        Raises:
            OSError: EXDEV or EOPNOTSUPP where they can't; then the caller reads and writes.
        """
        yield from self.copied_up(target)
        written, read = self.writable(target), self.readable(source)
        if not keep_set_id:
            self.clear_set_id(target, written.fd)
        if content_of(source).directory.tree.is_at_hand(read.fd, start, length):
            return os.copy_file_range(read.fd, written.fd, length, start, offset)
        with written.held() as target_fd, read.held() as source_fd:
            copied: int = yield functools.partial(os.copy_file_range, source_fd, target_fd, length, start, offset)
        return copied

    def take_set_id(self, node: Inode) -> None:
        """Take set-id bits away, as a write by somebody without privilege does, that isn't one through the daemon."""
        self.clear_set_id(node, self.writable(node).fd)

    def clear_set_id(self, node: Inode, fd: int) -> None:
        """Take set-user-ID and set-group-ID away, as a write by somebody without privilege does (write(2))."""
        mode = os.fstat(fd).st_mode if node.ownership is None else node.ownership.permissions
        permissions = stat.S_IMODE(mode)
        kept = without_set_id(permissions)
        if kept == permissions:
            return
        if node.ownership is None:
            set_permissions(*node.place, kept)
        else:
            assert self._upper is not None
            node.ownership = node.ownership._replace(permissions=kept)
            self._upper.metadata.give(*node.place, node.ownership)

    def sync(self, node: Inode, *, content_only: bool) -> Operation[None]:
        """Have *node* and the directories of its names on the device, unless the mount is volatile."""
        if self._volatile or not node.in_upper:
            return
        yield from CopyUp.settled(node)
        synced: set[Directory] = set()
        # Asked anew each time: a directory that was renamed or removed meanwhile isn't found by its old name.
        while len(directories := _directories(node) - synced) > 1:
            synced.add(directory := directories.pop())
            with directory.opened() as fd:
                yield functools.partial(os.fsync, fd)
        with contextlib.ExitStack() as held:
            steps: list[Step] = []
            if node.is_metacopy:
                place = node.place
                steps.append(functools.partial(os.fsync, held.enter_context(place.directory.opened(place.name))))
            elif node.type_bits == stat.S_IFREG:
                sync = os.fdatasync if content_only else os.fsync
                steps.append(functools.partial(sync, held.enter_context(self.readable(node).held())))
            steps += [functools.partial(os.fsync, held.enter_context(directory.opened())) for directory in directories]
            yield Last(functools.partial(_do_all, steps))

    def sync_directory(self, node: DirectoryInode) -> Operation[None]:
        """Have the names of the upper's part of *node* on the device, unless the mount is volatile."""
        if self._volatile or node.upper is None or node.removed is not None:
            return
        with node.upper.opened() as fd:
            yield Last(functools.partial(os.fsync, fd))


def _directories(node: Inode) -> set[Directory]:
    return {parent.upper for parent, _ in node.names() if parent.upper is not None}


def _do_all(steps: Sequence[Step]) -> None:
    for step in steps:
        step()


def _read_on(piece: bytearray, count: int, fd: int, offset: int) -> bytes:
    """Give the first *count* bytes of *piece*, and what follows them in the file as far as *piece* is long."""
    return bytes(memoryview(piece)[:count]) + _read_all(fd, len(piece) - count, offset + count)


def _write_all(fd: int, content: bytes | memoryview, offset: int) -> int:
    view, written = memoryview(content), 0
    while written < len(content):
        try:
            written += os.pwrite(fd, view[written:], offset + written)
        except OSError:
            if not written:
                raise
            break
    return written


def _read_all(fd: int, size: int, offset: int) -> bytes:
    pieces: list[bytes] = []
    while size > 0:
        piece = os.pread(fd, size, offset)
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
        offset += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
