"""What is answered to each request, by an operation of the union.

Owns the way from the fields of a request to the arguments of the union, and from what it gives to a body.

A request without a handler is answered with ENOSYS, and so are three on purpose unless content is passed through: after
the first the kernel does without. With OPEN and OPENDIR (FUSE_NO_OPEN_SUPPORT, FUSE_NO_OPENDIR_SUPPORT) it opens files
and directories by itself, keeps content and listings, and says with each request which inode it is for. With CREATE it
makes files by MKNOD and opens them so too, where it would send a RELEASE for each until the first OPEN.
"""

import errno
import os
import stat
import time
from collections.abc import Callable

from unionfs.fuse import policy
from unionfs.fuse.data_path import DataPath
from unionfs.fuse.kernel import abi, codec, negotiation
from unionfs.fuse.kernel.abi import SetAttr
from unionfs.fuse.kernel.codec import Request
from unionfs.fuse.kernel.device import MAX_WRITE, Device
from unionfs.fuse.kernel.passthrough import Passthrough
from unionfs.fuse.kernel.replies import Replies
from unionfs.fuse.presentation import Presentation
from unionfs.fuse.translation import Translation
from unionfs.layer.attributes import Attributes
from unionfs.linux import inode_flags
from unionfs.union import Union
from unionfs.union.listing import LAST_DOT_COOKIE
from unionfs.union.step import Operation
from unionfs.union.union import Caller, Change

SET_ID = stat.S_ISUID | stat.S_ISGID
_KILL_SUIDGID = SetAttr.KILL_SUIDGID.value
_OPEN_CACHED = abi.OPEN_OUT.pack(0, abi.OPEN_KEEP_CACHE, 0)
# The kernel asks at once, and is told why.
_OUT_OF_REACH = codec.absent_reply(codec.NOT_AT_ALL)
Answer = bytes | Operation[bytes]


class Answers:
    """What is answered to the requests on one connection, by a union."""

    def __init__(
        self, union: Union, ready: Callable[[], None], data_path: DataPath, device: Device, presentation: Presentation
    ) -> None:
        self._union = union
        self._ready = ready
        self._data_path = data_path
        self._agreed = negotiation.NOTHING
        self._gathers_writes = False
        self._passthrough = Passthrough(union, device)
        self._translation = Translation(presentation.mapped_ids)
        replies = Replies(presentation, self._passthrough.changing)
        self._absent = replies.absent
        self._entry, self._made_and_opened = replies.entry, replies.made_and_opened
        self._attr, self._statx = replies.attr, replies.statx

    def init(self, request: Request) -> bytes:
        """INIT: agree on what both sides can do; the mount answers from now on."""
        offered = codec.offer(request.body)
        self._agreed = negotiation.agree(
            offered,
            acl=self._union.settings.acl,
            writeback=bool(self._data_path.writeback),
            passthrough=self._passthrough.settle(offered.flags, self._data_path),
        )
        self._gathers_writes = self._agreed.gathers_writes
        self._passthrough.is_on = self._agreed.passes_through
        self._ready()
        return negotiation.reply(offered, self._agreed, MAX_WRITE)

    def unknown(self, _request: Request) -> bytes:
        """Let the kernel do without this request from now on."""
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    def nothing(self, _request: Request) -> bytes:
        """Answer that it is done."""
        return b""

    # Names.

    def lookup(self, request: Request) -> Answer:
        """LOOKUP."""
        entry = codec.name(request.body)
        first = self._union.before_lookup(request.nodeid, entry)
        if first is not None:
            return _after(first, lambda: self._lookup(request.nodeid, entry))
        return self._lookup(request.nodeid, entry)

    def _lookup(self, nodeid: int, entry: bytes) -> bytes:
        shown = self._union.lookup(nodeid, entry)
        return self._absent if shown is None else self._entry(shown)

    def forget(self, request: Request) -> bytes:
        """FORGET."""
        self._union.forget(request.nodeid, abi.FORGET_IN.unpack_from(request.body)[0])
        return b""

    def batch_forget(self, request: Request) -> bytes:
        """BATCH_FORGET."""
        for number, lookups in codec.forgets(request.body):
            self._union.forget(number, lookups)
        return b""

    def _caller(self, request: Request, umask: int) -> Caller:
        return self._translation.caller(request.uid, request.gid, umask)

    def mknod(self, request: Request) -> bytes:
        """MKNOD."""
        mode, rdev, umask, _ = abi.MKNOD_IN.unpack_from(request.body)
        entry = codec.name(request.body, abi.MKNOD_IN.size)
        caller = self._caller(request, umask)
        shown = self._union.create(request.nodeid, entry, mode, caller, rdev=codec.device(rdev))
        return self._entry(shown)

    def mkdir(self, request: Request) -> bytes:
        """MKDIR."""
        mode, umask = abi.MKDIR_IN.unpack_from(request.body)
        entry = codec.name(request.body, abi.MKDIR_IN.size)
        shown = self._union.create(request.nodeid, entry, stat.S_IFDIR | mode, self._caller(request, umask))
        return self._entry(shown)

    def symlink(self, request: Request) -> bytes:
        """SYMLINK."""
        entry, target = codec.two_names(request.body)
        caller = self._caller(request, 0)
        shown = self._union.create(request.nodeid, entry, stat.S_IFLNK | 0o777, caller, target=target)
        return self._entry(shown)

    def create(self, request: Request) -> bytes:
        """CREATE: answered, as OPEN is, only where content is passed through."""
        if not self._passthrough.is_on:
            return self.unknown(request)
        flags, mode, umask, _ = abi.CREATE_IN.unpack_from(request.body)
        entry = codec.name(request.body, abi.CREATE_IN.size)
        mode = stat.S_IFREG | stat.S_IMODE(mode)
        shown = self._union.create(request.nodeid, entry, mode, self._caller(request, umask))
        return self._made_and_open(shown, flags)

    def _made_and_open(self, shown: Attributes, flags: int) -> bytes:
        opened = self._passthrough.note_open(shown.ino, flags, is_new=True) if self._passthrough.is_on else _OPEN_CACHED
        return self._made_and_opened(shown) + opened

    def tmpfile(self, request: Request) -> bytes:
        """TMPFILE."""
        flags, mode, umask, _ = abi.CREATE_IN.unpack_from(request.body)
        shown = self._union.create_nameless(request.nodeid, mode, self._caller(request, umask))
        return self._made_and_open(shown, flags)

    def link(self, request: Request) -> Operation[bytes]:
        """LINK."""
        (number,) = abi.LINK_IN.unpack_from(request.body)
        shown = yield from self._union.link(number, request.nodeid, codec.name(request.body, abi.LINK_IN.size))
        return self._entry(shown)

    def unlink(self, request: Request) -> Operation[bytes]:
        """UNLINK."""
        yield from self._union.unlink(request.nodeid, codec.name(request.body))
        return b""

    def rmdir(self, request: Request) -> bytes:
        """RMDIR."""
        self._union.rmdir(request.nodeid, codec.name(request.body))
        return b""

    def rename(self, request: Request) -> Operation[bytes]:
        """RENAME."""
        (parent,) = abi.RENAME_IN.unpack_from(request.body)
        source, target = codec.two_names(request.body, abi.RENAME_IN.size)
        yield from self._union.rename(request.nodeid, source, parent, target, 0)
        return b""

    def rename2(self, request: Request) -> Operation[bytes]:
        """RENAME2."""
        parent, flags, _ = abi.RENAME2_IN.unpack_from(request.body)
        source, target = codec.two_names(request.body, abi.RENAME2_IN.size)
        yield from self._union.rename(request.nodeid, source, parent, target, flags)
        return b""

    # Attributes.

    def getattr(self, request: Request) -> bytes:
        """GETATTR."""
        return self._attr(self._union.getattr(request.nodeid))

    def statx(self, request: Request) -> bytes:
        """STATX: asked instead of GETATTR by who wants to know the time of birth."""
        birth_ns = self._union.birth_time_ns(request.nodeid)
        return self._statx(self._union.getattr(request.nodeid), birth_ns)

    def setattr(self, request: Request) -> Operation[bytes]:
        """SETATTR."""
        # A kernel that gathers writes keeps the times of a file by its own clock, and leaves one that keeps its size.
        now_ns = None if self._gathers_writes else time.time_ns()
        valid, values = codec.set_attr(request.body, now_ns)
        if now_ns is None and "size" in values:
            values.setdefault("mtime_ns", self._union.getattr(request.nodeid).mtime_ns)
        if not values and self._passthrough.passes(request.nodeid) and not self._keeps_set_id(request, request.nodeid):
            # The kernel asks for nothing at all where it would take set-id bits away, and leaves them to the daemon.
            return self._attr(self._union.take_set_id(request.nodeid))
        keeps = not valid & _KILL_SUIDGID
        change = self._translation.change(Change(**values))
        shown = yield from self._union.setattr(request.nodeid, change, keep_set_id=keeps)
        return self._attr(shown)

    def readlink(self, request: Request) -> bytes:
        """READLINK."""
        return self._union.readlink(request.nodeid)

    def statfs(self, _request: Request) -> bytes:
        """STATFS."""
        return codec.statfs_reply(self._union.statfs(), policy.NAME_MAX)

    # Content.

    def open(self, request: Request) -> Answer:
        """OPEN: asked, and followed by RELEASE, only where content is passed through."""
        if not self._passthrough.is_on:
            return self.unknown(request)
        flags, more = abi.OPEN_IN.unpack_from(request.body)
        if flags & os.O_TRUNC or flags & os.O_ACCMODE != os.O_RDONLY:
            return self._open_for_change(request.nodeid, flags, keeps=not more & abi.OPEN_KILL_SUIDGID)
        return self._passthrough.note_open(request.nodeid, flags)

    def _open_for_change(self, number: int, flags: int, *, keeps: bool) -> Operation[bytes]:
        """Copy up first, since what is in the upper can be passed through; to be truncated, without the content."""
        if flags & os.O_TRUNC:
            yield from self._union.setattr(number, Change(size=0), keep_set_id=keeps)
        if flags & os.O_ACCMODE != os.O_RDONLY:
            yield from self._union.open(number, flags)
        return self._passthrough.note_open(number, flags)

    def release(self, request: Request) -> bytes:
        """RELEASE."""
        handle, _, _, _ = abi.RELEASE_IN.unpack_from(request.body)
        self._passthrough.note_release(request.nodeid, handle)
        return b""

    def read(self, request: Request) -> Operation[bytes]:
        """READ."""
        _, offset, size, _, _, _, _ = abi.READ_IN.unpack_from(request.body)
        return self._union.read(request.nodeid, offset, size)

    def write(self, request: Request) -> Operation[bytes]:
        """WRITE."""
        _, offset, size, flags, _, _, _ = abi.WRITE_IN.unpack_from(request.body)
        content = request.body[abi.WRITE_IN.size : abi.WRITE_IN.size + size]
        keeps = not flags & abi.WRITE_KILL_SUIDGID
        late = bool(flags & abi.WRITE_CACHE)
        written = yield from self._union.write(request.nodeid, offset, content, keep_set_id=keeps, keep_mtime=late)
        return abi.WRITE_OUT.pack(written, 0)

    def flush(self, request: Request) -> bytes:
        """FLUSH: only for what a kernel does before it, and doesn't where it was told to do without."""
        if self._union.is_read_only or self._agreed.writes_before_flush:
            return self.unknown(request)
        return b""

    def fsync(self, request: Request) -> Operation[bytes]:
        """FSYNC."""
        _, flags, _ = abi.FSYNC_IN.unpack_from(request.body)
        yield from self._union.fsync(request.nodeid, content_only=bool(flags & abi.FSYNC_CONTENT_ONLY))
        return b""

    def fsyncdir(self, request: Request) -> Operation[bytes]:
        """FSYNCDIR."""
        yield from self._union.fsyncdir(request.nodeid)
        return b""

    def fallocate(self, request: Request) -> Operation[bytes]:
        """FALLOCATE."""
        _, offset, length, mode, _ = abi.FALLOCATE_IN.unpack_from(request.body)
        keeps = self._keeps_set_id(request, request.nodeid)
        yield from self._union.allocate(request.nodeid, mode, offset, length, keep_set_id=keeps)
        return b""

    def _keeps_set_id(self, request: Request, number: int) -> bool:
        """Tell whether a change of the content of *number* leaves its set-id bits, where the request doesn't say."""
        return not self._union.getattr(number).mode & SET_ID or policy.holds_fsetid(request.pid)

    def lseek(self, request: Request) -> bytes:
        """LSEEK; the kernel doesn't write before it what it holds back, which would be taken for a hole."""
        if self._gathers_writes:
            return self.unknown(request)
        _, offset, whence, _ = abi.LSEEK_IN.unpack_from(request.body)
        return abi.LSEEK_OUT.pack(self._union.seek(request.nodeid, offset, whence))

    def copy_file_range(self, request: Request) -> Operation[bytes]:
        """COPY_FILE_RANGE."""
        _, start, target, _, offset, length, _ = abi.COPY_FILE_RANGE_IN.unpack_from(request.body)
        keeps = self._keeps_set_id(request, target)
        copied = yield from self._union.copy_range(request.nodeid, start, target, offset, length, keep_set_id=keeps)
        return abi.WRITE_OUT.pack(copied, 0)

    # Directories.

    def readdir(self, request: Request) -> Answer:
        """READDIR: names, numbers and types alone."""
        _, cookie, size, _, _, _, _ = abi.READ_IN.unpack_from(request.body)
        first = self._union.before_listing(request.nodeid, cookie, attributes=False)
        if first is not None:
            return _after(first, lambda: self._readdir(request.nodeid, cookie, size))
        return self._readdir(request.nodeid, cookie, size)

    def _readdir(self, nodeid: int, cookie: int, size: int) -> bytes:
        answer = bytearray()
        for listed in self._union.names(nodeid, cookie):
            record = codec.dirent(listed.number, listed.cookie, listed.kind, listed.name)
            if len(answer) + len(record) > size:
                break
            answer += record
        return bytes(answer)

    def readdirplus(self, request: Request) -> Answer:
        """READDIRPLUS: the kernel is told of each entry's inode, and asks no more about it."""
        _, cookie, size, _, _, _, _ = abi.READ_IN.unpack_from(request.body)
        first = self._union.before_listing(request.nodeid, cookie, attributes=True)
        if first is not None:
            return _after(first, lambda: self._readdirplus(request.nodeid, cookie, size))
        return self._readdirplus(request.nodeid, cookie, size)

    def _readdirplus(self, nodeid: int, cookie: int, size: int) -> bytes:
        answer = bytearray()
        for listed in self._union.entries(nodeid, cookie):
            node, shown = listed.node, listed.shown
            if node is None or shown is None:
                record = _OUT_OF_REACH + codec.dirent(
                    self._union.spare_number(), listed.cookie, listed.kind, listed.name
                )
            else:
                record = self._entry(shown) + codec.dirent(shown.ino, listed.cookie, shown.mode >> 12, listed.name)
            if len(answer) + len(record) > size:
                if node is not None:
                    self._union.nodes.drop_if_unknown(node)
                break
            answer += record
            # The kernel takes no reference through "." and "..".
            if node is not None and listed.cookie > LAST_DOT_COOKIE:
                node.lookups += 1
        return bytes(answer)

    # Others.

    def ioctl(self, request: Request) -> Answer:
        """IOCTL: inode flags are asked for and set by it, in two forms."""
        _, _, command, _, in_size, out_size = abi.IOCTL_IN.unpack_from(request.body)
        for form in (inode_flags.PLAIN, inode_flags.EXTENDED):
            if command == form.get:
                return codec.ioctl_reply(self._union.inode_flags(request.nodeid, form), out_size)
            if command == form.set and self._agreed.checks_inode_flags:
                value = bytes(request.body[abi.IOCTL_IN.size : abi.IOCTL_IN.size + in_size])
                return self._set_inode_flags(request.nodeid, form, value)
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    def _set_inode_flags(self, number: int, form: inode_flags.Form, value: bytes) -> Operation[bytes]:
        yield from self._union.set_inode_flags(number, form, value[: form.size])
        return codec.ioctl_reply(b"", 0)

    # Extended attributes.

    def getxattr(self, request: Request) -> bytes:
        """GETXATTR."""
        size, _ = abi.GETXATTR_IN.unpack_from(request.body)
        attribute = codec.name(request.body, abi.GETXATTR_IN.size)
        value = self._translation.xattr_shown(attribute, self._union.getxattr(request.nodeid, attribute))
        return codec.sized_reply(value, size)

    def listxattr(self, request: Request) -> bytes:
        """LISTXATTR."""
        size, _ = abi.GETXATTR_IN.unpack_from(request.body)
        names = self._union.listxattr(request.nodeid, lambda: policy.may_see_trusted(request.pid))
        return codec.sized_reply(b"".join(name + b"\0" for name in names), size)

    def setxattr(self, request: Request) -> Operation[bytes]:
        """SETXATTR."""
        size, flags = abi.SETXATTR_IN.unpack_from(request.body)
        start, keeps = abi.SETXATTR_IN.size, True
        if self._agreed.has_extended_setxattr:
            more, _ = abi.SETXATTR_EXT_IN.unpack_from(request.body, start)
            start, keeps = start + abi.SETXATTR_EXT_IN.size, not more & abi.SETXATTR_ACL_KILL_SGID
        attribute, _, value = bytes(request.body[start:]).partition(b"\0")
        value = self._translation.xattr_on_disk(attribute, value[:size])
        yield from self._union.setxattr(request.nodeid, attribute, value, flags, keep_setgid=keeps)
        return b""

    def removexattr(self, request: Request) -> Operation[bytes]:
        """REMOVEXATTR."""
        yield from self._union.removexattr(request.nodeid, codec.name(request.body))
        return b""


def _after(operation: Operation[None], answer: Callable[[], bytes]) -> Operation[bytes]:
    yield from operation
    return answer()
