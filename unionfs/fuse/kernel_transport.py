"""The transport that speaks the kernel's FUSE protocol on /dev/fuse itself.

Owns the negotiation, the loop, and which operation of the union answers which request. What pyfuse3 lacks is here:
opens and listings without a message, cached directories, the callers of writes, and the newer requests.

A request without a handler is answered with ENOSYS. For OPEN and OPENDIR that is on purpose: after the first the
kernel does without (FUSE_NO_OPEN_SUPPORT, FUSE_NO_OPENDIR_SUPPORT). It opens files and directories by itself, keeps
content and listings, and says with each request which inode it is for.
"""

import errno
import functools
import logging
import os
import select
import stat
import time
from collections.abc import Callable, Mapping
from typing import Any

from unionfs.fuse import abi, codec, policy
from unionfs.fuse.abi import Init, Opcode, SetAttr
from unionfs.fuse.codec import ProtocolError, Request
from unionfs.fuse.workers import Done, Workers
from unionfs.union import Union
from unionfs.union.listing import LAST_DOT_COOKIE
from unionfs.union.step import Gate, Operation
from unionfs.union.union import Caller, Change

_log = logging.getLogger(__name__)

# One message carries up to 1 MiB of content, the most that every kernel from 4.20 on takes.
MAX_WRITE = 1 << 20
_BUFFER_SIZE = MAX_WRITE + 4096
_TIMEOUT = int(policy.TIMEOUT)
# How long to stay awake after a request, in seconds.
_AWAKE = 60e-6
_NO_ANSWER = (Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT)
_WANTED = (
    Init.ASYNC_READ | Init.BIG_WRITES | Init.DONT_MASK | Init.DO_READDIRPLUS | Init.READDIRPLUS_AUTO
    | Init.ASYNC_DIO | Init.NO_OPEN_SUPPORT | Init.PARALLEL_DIROPS | Init.MAX_PAGES | Init.CACHE_SYMLINKS
    | Init.NO_OPENDIR_SUPPORT | Init.EXPLICIT_INVAL_DATA | Init.HANDLE_KILLPRIV_V2 | Init.INIT_EXT
    | Init.NO_EXPORT_SUPPORT | Init.HAS_IOCTL_DIR | Init.SETXATTR_EXT
)  # fmt: skip
Answer = bytes | Operation[bytes]
Handler = Callable[["Session", Request], Answer]


class Session:
    """One mounted connection, answered by a union."""

    def __init__(self, union: Union, device_fd: int, ready: Callable[[], None]) -> None:
        self._union = union
        self._fd = device_fd
        self._ready = ready
        self._workers = Workers()
        self._buffer = bytearray(_BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._poll = select.poll()
        self._poll.register(device_fd, select.POLLIN)
        self._poll.register(self._workers.fd, select.POLLIN)
        self._connected = True
        self._agreed = Init(0)
        self._minor = 0
        self._tidy_at: float | None = None

    # The loop.

    def run(self) -> None:
        """Answer until the connection ends."""
        os.set_blocking(self._fd, False)
        while self._connected:
            size = self._receive()
            if size:
                self._serve(self._view[:size])
            else:
                self._wait()
            if not self._workers.is_idle:
                self._workers.collect()
        self._workers.close()

    def _receive(self) -> int:
        """Read one request; 0 when there is none now, or none any more."""
        try:
            return os.readv(self._fd, [self._buffer])
        except BlockingIOError:
            return 0
        except OSError as error:
            # ENODEV: the mount has ended. ECONNABORTED: somebody aborted it.
            if error.errno in (errno.ENODEV, errno.ECONNABORTED):
                self._connected = False
            # ENOENT: the request was interrupted before it was read.
            elif error.errno not in (errno.ENOENT, errno.EINTR):
                raise
            return 0

    def _wait(self) -> None:
        """Stay awake for a moment, then sleep until there is something to do."""
        until = time.perf_counter() + _AWAKE
        while time.perf_counter() < until:
            if self._poll.poll(0):
                return
        timeout = None
        if self._tidy_at is not None:
            timeout = max(0.0, self._tidy_at - time.monotonic()) * 1000
        if not self._poll.poll(timeout) and self._tidy_at is not None:
            self._tidy_at = None
            self._union.tidy()

    def _serve(self, message: memoryview) -> None:
        try:
            request = codec.request(message)
        except ProtocolError as error:
            _log.error("a message of the kernel is passed over: %s", error)
            return
        handler = _HANDLERS.get(request.opcode, Session.unknown)
        try:
            answer = handler(self, request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the mount goes on
            self._fail(request.opcode, request.unique, error)
            return
        if isinstance(answer, bytes):
            self._answer(request.opcode, request.unique, answer)
        else:
            self._advance(answer, request.opcode, request.unique, lambda: next(answer))

    def _advance(self, operation: Operation[bytes], opcode: int, unique: int, go_on: Callable[[], Any]) -> None:
        """Take *operation* on to its next step, or to its end."""
        try:
            step = go_on()
        except StopIteration as stop:
            self._answer(opcode, unique, stop.value)
        except Exception as error:  # noqa: BLE001 - whatever it is, the mount goes on
            self._fail(opcode, unique, error)
        else:
            if isinstance(step, Gate):
                step.wait(functools.partial(self._advance, operation, opcode, unique, lambda: next(operation)))
            else:
                self._workers.run(step, functools.partial(self._stepped, operation, opcode, unique))

    def _stepped(self, operation: Operation[bytes], opcode: int, unique: int, done: Done) -> None:
        error = done.error
        if error is not None:
            self._advance(operation, opcode, unique, lambda: operation.throw(error))
        else:
            self._advance(operation, opcode, unique, lambda: operation.send(done.result))

    def _answer(self, opcode: int, unique: int, body: bytes) -> None:
        if opcode in _NO_ANSWER:
            return
        self._send(unique, codec.answer_header(unique, len(body)), body)

    def _fail(self, opcode: int, unique: int, error: Exception) -> None:
        if opcode in _NO_ANSWER:
            _log.warning("a message without answer failed: %s", os.strerror(policy.errno_of(error)))
            return
        self._send(unique, codec.answer_header(unique, 0, policy.errno_of(error)), b"")

    def _send(self, unique: int, header: bytes, body: bytes) -> None:
        try:
            os.writev(self._fd, [header, body])
        except OSError as error:
            # ENOENT: whoever asked was interrupted and is gone. ENODEV: the mount has ended.
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                _log.error("the answer to request %d was refused: %s", unique, error)

    # Negotiation.

    def init(self, request: Request) -> bytes:
        """Agree on what both sides can do."""
        offered = codec.offer(request.body)
        if offered.major != abi.MAJOR or offered.minor < abi.OLDEST_MINOR:
            raise OSError(errno.EPROTO, f"the kernel speaks FUSE {offered.major}.{offered.minor}")
        wanted = _WANTED
        if self._union.settings.acl:
            wanted |= Init.POSIX_ACL
        self._agreed, self._minor = offered.flags & wanted, offered.minor
        self._ready()
        return codec.init_reply(offered, self._agreed, max_write=MAX_WRITE, page_size=os.sysconf("SC_PAGESIZE"))

    def unknown(self, _request: Request) -> bytes:
        """Let the kernel do without this request from now on."""
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    def nothing(self, _request: Request) -> bytes:
        """Answer that it is done."""
        return b""

    # Names.

    def lookup(self, request: Request) -> bytes:
        """LOOKUP."""
        shown = self._union.lookup(request.nodeid, codec.name(request.body))
        return codec.absent_reply(_TIMEOUT) if shown is None else codec.entry_reply(shown, _TIMEOUT)

    def forget(self, request: Request) -> bytes:
        """FORGET."""
        self._union.forget(request.nodeid, abi.FORGET_IN.unpack_from(request.body)[0])
        return self._forgotten()

    def batch_forget(self, request: Request) -> bytes:
        """BATCH_FORGET."""
        for number, lookups in codec.forgets(request.body):
            self._union.forget(number, lookups)
        return self._forgotten()

    def _forgotten(self) -> bytes:
        if self._union.needs_tidying and self._tidy_at is None:
            self._tidy_at = time.monotonic() + policy.TIDY_DELAY
        return b""

    def _caller(self, request: Request, umask: int) -> Caller:
        return Caller(request.uid, request.gid, umask)

    def mknod(self, request: Request) -> bytes:
        """MKNOD."""
        mode, rdev, umask, _ = abi.MKNOD_IN.unpack_from(request.body)
        entry = codec.name(request.body, abi.MKNOD_IN.size)
        caller = self._caller(request, umask)
        shown = self._union.create(request.nodeid, entry, mode, caller, rdev=codec.device(rdev))
        return codec.entry_reply(shown, _TIMEOUT)

    def mkdir(self, request: Request) -> bytes:
        """MKDIR."""
        mode, umask = abi.MKDIR_IN.unpack_from(request.body)
        entry = codec.name(request.body, abi.MKDIR_IN.size)
        shown = self._union.create(request.nodeid, entry, stat.S_IFDIR | mode, self._caller(request, umask))
        return codec.entry_reply(shown, _TIMEOUT)

    def symlink(self, request: Request) -> bytes:
        """SYMLINK."""
        entry, target = codec.two_names(request.body)
        caller = self._caller(request, 0)
        shown = self._union.create(request.nodeid, entry, stat.S_IFLNK | 0o777, caller, target=target)
        return codec.entry_reply(shown, _TIMEOUT)

    def create(self, request: Request) -> bytes:
        """CREATE."""
        _, mode, umask, _ = abi.CREATE_IN.unpack_from(request.body)
        entry = codec.name(request.body, abi.CREATE_IN.size)
        mode = stat.S_IFREG | stat.S_IMODE(mode)
        shown = self._union.create(request.nodeid, entry, mode, self._caller(request, umask))
        return codec.entry_reply(shown, _TIMEOUT) + abi.OPEN_OUT.pack(0, abi.OPEN_KEEP_CACHE, 0)

    def tmpfile(self, request: Request) -> bytes:
        """TMPFILE."""
        _, mode, umask, _ = abi.CREATE_IN.unpack_from(request.body)
        shown = self._union.create_nameless(request.nodeid, mode, self._caller(request, umask))
        return codec.entry_reply(shown, _TIMEOUT) + abi.OPEN_OUT.pack(0, abi.OPEN_KEEP_CACHE, 0)

    def link(self, request: Request) -> Operation[bytes]:
        """LINK."""
        (number,) = abi.LINK_IN.unpack_from(request.body)
        shown = yield from self._union.link(number, request.nodeid, codec.name(request.body, abi.LINK_IN.size))
        return codec.entry_reply(shown, _TIMEOUT)

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
        return codec.attr_reply(self._union.getattr(request.nodeid), _TIMEOUT)

    def setattr(self, request: Request) -> Operation[bytes]:
        """SETATTR."""
        valid, values = codec.set_attr(request.body, time.time_ns())
        keeps = not valid & SetAttr.KILL_SUIDGID
        shown = yield from self._union.setattr(request.nodeid, Change(**values), keep_set_id=keeps)
        return codec.attr_reply(shown, _TIMEOUT)

    def readlink(self, request: Request) -> bytes:
        """READLINK."""
        return self._union.readlink(request.nodeid)

    def statfs(self, _request: Request) -> bytes:
        """STATFS."""
        return codec.statfs_reply(self._union.statfs(), policy.NAME_MAX)

    # Content.

    def read(self, request: Request) -> Operation[bytes]:
        """READ."""
        _, offset, size, _, _, _, _ = abi.READ_IN.unpack_from(request.body)
        return self._union.read(request.nodeid, offset, size)

    def write(self, request: Request) -> Operation[bytes]:
        """WRITE."""
        _, offset, size, flags, _, _, _ = abi.WRITE_IN.unpack_from(request.body)
        content = bytes(request.body[abi.WRITE_IN.size : abi.WRITE_IN.size + size])
        keeps = not flags & abi.WRITE_KILL_SUIDGID
        written = yield from self._union.write(request.nodeid, offset, content, keep_set_id=keeps)
        return abi.WRITE_OUT.pack(written, 0)

    def flush(self, request: Request) -> bytes:
        """FLUSH: only for what a kernel does before it, and doesn't where it was told to do without."""
        if self._union.is_read_only or self._minor >= abi.WRITES_BEFORE_FLUSH:
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
        keeps = policy.keeps_set_id(request.uid)
        yield from self._union.allocate(request.nodeid, mode, offset, length, keep_set_id=keeps)
        return b""

    def lseek(self, request: Request) -> bytes:
        """LSEEK."""
        _, offset, whence, _ = abi.LSEEK_IN.unpack_from(request.body)
        return abi.LSEEK_OUT.pack(self._union.seek(request.nodeid, offset, whence))

    def copy_file_range(self, request: Request) -> Operation[bytes]:
        """COPY_FILE_RANGE."""
        _, start, target, _, offset, length, _ = abi.COPY_FILE_RANGE_IN.unpack_from(request.body)
        keeps = policy.keeps_set_id(request.uid)
        copied = yield from self._union.copy_range(request.nodeid, start, target, offset, length, keep_set_id=keeps)
        return abi.WRITE_OUT.pack(copied, 0)

    # Directories.

    def readdir(self, request: Request) -> bytes:
        """READDIR: names, numbers and types alone."""
        _, cookie, size, _, _, _, _ = abi.READ_IN.unpack_from(request.body)
        answer = bytearray()
        for listed in self._union.names(request.nodeid, cookie):
            record = codec.dirent(listed.number, listed.cookie, listed.kind, listed.name)
            if len(answer) + len(record) > size:
                break
            answer += record
        return bytes(answer)

    def readdirplus(self, request: Request) -> bytes:
        """READDIRPLUS: the kernel is told of each entry's inode, and asks no more about it."""
        _, cookie, size, _, _, _, _ = abi.READ_IN.unpack_from(request.body)
        answer = bytearray()
        for listed in self._union.entries(request.nodeid, cookie):
            node, shown = listed.node, listed.shown
            if node is None or shown is None:
                record = codec.absent_reply(0) + codec.dirent(
                    self._union.spare_number(), listed.cookie, listed.kind, listed.name
                )
            else:
                record = codec.entry_reply(shown, _TIMEOUT) + codec.dirent(
                    shown.ino, listed.cookie, shown.mode >> 12, listed.name
                )
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

    def ioctl(self, _request: Request) -> bytes:
        """IOCTL: the kernel asks for inode flags so (FS_IOC_GETFLAGS); none are kept."""
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    # Extended attributes.

    def getxattr(self, request: Request) -> bytes:
        """GETXATTR."""
        size, _ = abi.GETXATTR_IN.unpack_from(request.body)
        attribute = codec.name(request.body, abi.GETXATTR_IN.size)
        return codec.sized_reply(self._union.getxattr(request.nodeid, attribute), size)

    def listxattr(self, request: Request) -> bytes:
        """LISTXATTR."""
        size, _ = abi.GETXATTR_IN.unpack_from(request.body)
        names = self._union.listxattr(request.nodeid, lambda: policy.may_see_trusted(request.pid))
        return codec.sized_reply(b"".join(name + b"\0" for name in names), size)

    def setxattr(self, request: Request) -> Operation[bytes]:
        """SETXATTR."""
        size, flags = abi.SETXATTR_IN.unpack_from(request.body)
        start, keeps = abi.SETXATTR_IN.size, True
        if self._agreed & Init.SETXATTR_EXT:
            more, _ = abi.SETXATTR_EXT_IN.unpack_from(request.body, start)
            start, keeps = start + abi.SETXATTR_EXT_IN.size, not more & abi.SETXATTR_ACL_KILL_SGID
        attribute, _, value = bytes(request.body[start:]).partition(b"\0")
        yield from self._union.setxattr(request.nodeid, attribute, value[:size], flags, keep_setgid=keeps)
        return b""

    def removexattr(self, request: Request) -> Operation[bytes]:
        """REMOVEXATTR."""
        yield from self._union.removexattr(request.nodeid, codec.name(request.body))
        return b""


_HANDLERS: Mapping[int, Handler] = {
    Opcode.INIT: Session.init,
    Opcode.DESTROY: Session.nothing,
    Opcode.LOOKUP: Session.lookup,
    Opcode.FORGET: Session.forget,
    Opcode.BATCH_FORGET: Session.batch_forget,
    Opcode.INTERRUPT: Session.nothing,
    Opcode.GETATTR: Session.getattr,
    Opcode.SETATTR: Session.setattr,
    Opcode.READLINK: Session.readlink,
    Opcode.SYMLINK: Session.symlink,
    Opcode.MKNOD: Session.mknod,
    Opcode.MKDIR: Session.mkdir,
    Opcode.UNLINK: Session.unlink,
    Opcode.RMDIR: Session.rmdir,
    Opcode.RENAME: Session.rename,
    Opcode.RENAME2: Session.rename2,
    Opcode.LINK: Session.link,
    Opcode.CREATE: Session.create,
    Opcode.TMPFILE: Session.tmpfile,
    Opcode.READ: Session.read,
    Opcode.WRITE: Session.write,
    Opcode.FLUSH: Session.flush,
    Opcode.FSYNC: Session.fsync,
    Opcode.FSYNCDIR: Session.fsyncdir,
    Opcode.FALLOCATE: Session.fallocate,
    Opcode.LSEEK: Session.lseek,
    Opcode.COPY_FILE_RANGE: Session.copy_file_range,
    Opcode.READDIR: Session.readdir,
    Opcode.READDIRPLUS: Session.readdirplus,
    Opcode.STATFS: Session.statfs,
    Opcode.GETXATTR: Session.getxattr,
    Opcode.LISTXATTR: Session.listxattr,
    Opcode.SETXATTR: Session.setxattr,
    Opcode.REMOVEXATTR: Session.removexattr,
    Opcode.IOCTL: Session.ioctl,
}


def serve(union: Union, device_fd: int, ready: Callable[[], None]) -> None:
    """Answer the requests on the mounted connection *device_fd* until it ends, and close it.

    Raises:
        OSError: the connection failed.
    """
    try:
        Session(union, device_fd, ready).run()
    finally:
        os.close(device_fd)
