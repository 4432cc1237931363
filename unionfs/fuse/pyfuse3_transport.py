"""The transport on pyfuse3 and trio.

Owns the guard around each request: an exception becomes an errno, and never the end of the mount, since pyfuse3 ends
on anything but its own ``FUSEError``. What a request does is the union's business.

pyfuse3 wants file handles, while the union goes by inode: a handle is the inode's number, with one bit more that says
whether who opened it may write without taking set-id bits away (pyfuse3 doesn't tell who writes).
"""

import functools
import logging
import os
import stat
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import pyfuse3
import trio
from pyfuse3 import (
    EntryAttributes,
    FileHandleT,
    FileInfo,
    FileNameT,
    FlagT,
    FUSEError,
    InodeT,
    ModeT,
    ReaddirToken,
    RequestContext,
    SetattrFields,
    StatvfsData,
    XAttrNameT,
)

from unionfs.fuse import policy
from unionfs.fuse.driving import drive
from unionfs.fuse.giving_way import GivingWay
from unionfs.fuse.placement import Placement
from unionfs.fuse.presentation import AS_ON_DISK, Presentation
from unionfs.fuse.spinning import SpinningTrio
from unionfs.fuse.translation import Translation
from unionfs.layer.attributes import Attributes
from unionfs.layer.entry import Kind
from unionfs.union import Union
from unionfs.union.listing import LAST_DOT_COOKIE
from unionfs.union.union import Caller, Change

_log = logging.getLogger(__name__)
_KEEPS_SET_ID = 1 << 63
_NUMBER = _KEEPS_SET_ID - 1
_MOST_TASKS = 64
_TO_FIND_ROOM = 0.002  # seconds

T = TypeVar("T")
P = ParamSpec("P")
Handler = Callable[Concatenate["Operations", P], Coroutine[Any, Any, T]]


def _guarded(handler: "Handler[P, T]") -> "Handler[P, T]":
    """Let *handler* fail with nothing but an errno."""

    @functools.wraps(handler)
    async def guarded(self: "Operations", /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            try:
                return await handler(self, *args, **kwargs)
            except OSError as error:
                if not policy.may_find_room(error):
                    raise
                # Meanwhile other tasks read what the kernel has forgotten.
                await trio.sleep(_TO_FIND_ROOM)
                return await handler(self, *args, **kwargs)
        except FUSEError:
            raise
        except Exception as error:
            raise FUSEError(policy.errno_of(error)) from error
        finally:
            # pyfuse3 answers next.
            self.about_to_answer(args[-1])

    return cast("Handler[P, T]", guarded)


def _unreachable(kind: Kind, number: int) -> EntryAttributes:
    """List an entry that can't be reached: the kernel asks again at once, and is told why."""
    entry = EntryAttributes()
    entry.st_ino = number
    entry.st_mode = kind << 12
    entry.entry_timeout = entry.attr_timeout = 0
    return entry


class Operations(pyfuse3.Operations):
    """pyfuse3's requests, answered by a union."""

    supports_dot_lookup = True
    enable_writeback_cache = False

    def __init__(self, union: Union, ready: Callable[[], None], presentation: Presentation = AS_ON_DISK) -> None:
        super().__init__()
        self.placement = Placement()
        self.giving_way = GivingWay()
        self._union = union
        self._ready = ready
        self._ids = presentation.mapped_ids
        self._translation = Translation(self._ids)
        self._timeout = presentation.seconds
        self._nursery: trio.Nursery | None = None
        self._tidying = False
        self.enable_acl = union.settings.acl

    def about_to_answer(self, asked_by: object) -> None:
        """Let who asked go on at once; *asked_by* is the last argument of the request, which may not tell."""
        if isinstance(asked_by, RequestContext):
            self.placement.note(asked_by.pid)
        if self.placement.is_shared:
            self.giving_way.begin()

    def _entry(self, shown: Attributes) -> EntryAttributes:
        entry = EntryAttributes()
        entry.st_ino = shown.ino
        entry.st_mode = shown.mode
        entry.st_nlink = shown.nlink
        uid, gid = (shown.uid, shown.gid) if self._ids is None else self._ids.owners(shown.uid, shown.gid)
        entry.st_uid, entry.st_gid = uid, gid
        entry.st_rdev = shown.rdev
        entry.st_size = shown.size
        entry.st_blksize = shown.blksize
        entry.st_blocks = shown.blocks
        entry.st_atime_ns = shown.atime_ns
        entry.st_mtime_ns = shown.mtime_ns
        entry.st_ctime_ns = shown.ctime_ns
        entry.entry_timeout = entry.attr_timeout = self._timeout
        return entry

    def _absent(self) -> EntryAttributes:
        """Tell the kernel that a name is absent, and that it may remember so."""
        entry = EntryAttributes()
        entry.st_ino = 0
        entry.entry_timeout = self._timeout
        return entry

    def _caller(self, ctx: RequestContext) -> Caller:
        # The kernel has applied the umask already: pyfuse3 doesn't ask it not to.
        return self._translation.caller(ctx.uid, ctx.gid, 0)

    async def main(self) -> None:
        """Answer until the connection ends."""
        async with trio.open_nursery() as self._nursery:
            await pyfuse3.main(min_tasks=1, max_tasks=_MOST_TASKS)
            self._nursery.cancel_scope.cancel()

    def init(self) -> None:
        """The kernel has agreed to serve: the mount answers from now on."""
        self._ready()

    @_guarded
    async def lookup(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> EntryAttributes:
        """Answer LOOKUP."""
        first = self._union.before_lookup(parent_inode, name)
        if first is not None:
            await drive(first)
        shown = self._union.lookup(parent_inode, name)
        return self._absent() if shown is None else self._entry(shown)

    async def forget(self, inode_list: Sequence[tuple[InodeT, int]]) -> None:
        """Answer FORGET, to which no error can be replied."""
        for number, lookups in inode_list:
            try:
                self._union.forget(number, lookups)
            except Exception as error:  # noqa: BLE001 - whatever it is, the mount goes on
                _log.warning("inode %d was forgotten with an error: %s", number, os.strerror(policy.errno_of(error)))
        if self._union.needs_tidying and not self._tidying and self._nursery is not None:
            self._tidying = True
            self._nursery.start_soon(self._tidy)

    async def _tidy(self) -> None:
        await trio.sleep(policy.TIDY_DELAY)
        self._tidying = False
        self._union.tidy()

    @_guarded
    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        """Answer GETATTR."""
        return self._entry(self._union.getattr(inode))

    @_guarded
    async def setattr(
        self,
        inode: InodeT,
        attr: EntryAttributes,
        fields: SetattrFields,
        fh: FileHandleT | None,
        ctx: RequestContext,
    ) -> EntryAttributes:
        """Answer SETATTR."""
        change = Change(
            size=attr.st_size if fields.update_size else None,
            mode=attr.st_mode if fields.update_mode else None,
            uid=attr.st_uid if fields.update_uid else None,
            gid=attr.st_gid if fields.update_gid else None,
            atime_ns=attr.st_atime_ns if fields.update_atime else None,
            mtime_ns=attr.st_mtime_ns if fields.update_mtime else None,
        )
        keeps = policy.keeps_set_id(ctx.uid)
        return self._entry(await drive(self._union.setattr(inode, self._translation.change(change), keep_set_id=keeps)))

    @_guarded
    async def readlink(self, inode: InodeT, ctx: RequestContext) -> FileNameT:
        """Answer READLINK."""
        return self._union.readlink(inode)

    @_guarded
    async def mknod(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, rdev: int, ctx: RequestContext
    ) -> EntryAttributes:
        """Answer MKNOD."""
        return self._entry(self._union.create(parent_inode, name, mode, self._caller(ctx), rdev=rdev))

    @_guarded
    async def mkdir(self, parent_inode: InodeT, name: FileNameT, mode: ModeT, ctx: RequestContext) -> EntryAttributes:
        """Answer MKDIR."""
        return self._entry(self._union.create(parent_inode, name, mode | stat.S_IFDIR, self._caller(ctx)))

    @_guarded
    async def symlink(
        self, parent_inode: InodeT, name: FileNameT, target: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        """Answer SYMLINK."""
        return self._entry(
            self._union.create(parent_inode, name, stat.S_IFLNK | 0o777, self._caller(ctx), target=target)
        )

    @_guarded
    async def unlink(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        """Answer UNLINK."""
        await drive(self._union.unlink(parent_inode, name))

    @_guarded
    async def rmdir(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        """Answer RMDIR."""
        self._union.rmdir(parent_inode, name)

    @_guarded
    async def rename(
        self,
        parent_inode_old: InodeT,
        name_old: FileNameT,
        parent_inode_new: InodeT,
        name_new: FileNameT,
        flags: FlagT,
        ctx: RequestContext,
    ) -> None:
        """Answer RENAME and RENAME2."""
        await drive(self._union.rename(parent_inode_old, name_old, parent_inode_new, name_new, flags))

    @_guarded
    async def link(
        self, inode: InodeT, new_parent_inode: InodeT, new_name: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        """Answer LINK."""
        return self._entry(await drive(self._union.link(inode, new_parent_inode, new_name)))

    # Content.

    @_guarded
    async def open(self, inode: InodeT, flags: FlagT, ctx: RequestContext) -> FileInfo:
        """Answer OPEN; libfuse has the kernel leave truncation to it."""
        keeps = policy.keeps_set_id(ctx.uid)
        if flags & os.O_TRUNC:
            await drive(self._union.setattr(inode, Change(size=0), keep_set_id=keeps))
        await drive(self._union.open(inode, flags))
        return _file_info(inode, keeps_set_id=keeps)

    @_guarded
    async def create(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, flags: FlagT, ctx: RequestContext
    ) -> tuple[FileInfo, EntryAttributes]:
        """Answer CREATE."""
        shown = self._union.create(parent_inode, name, stat.S_IFREG | stat.S_IMODE(mode), self._caller(ctx))
        return _file_info(shown.ino, keeps_set_id=policy.keeps_set_id(ctx.uid)), self._entry(shown)

    @_guarded
    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        """Answer READ."""
        return await drive(self._union.read(fh & _NUMBER, off, size))

    @_guarded
    async def write(self, fh: FileHandleT, off: int, buf: bytes) -> int:
        """Answer WRITE."""
        keeps = bool(fh & _KEEPS_SET_ID)
        return await drive(self._union.write(fh & _NUMBER, off, buf, keep_set_id=keeps))

    @_guarded
    async def fsync(self, fh: FileHandleT, datasync: bool) -> None:
        """Answer FSYNC."""
        await drive(self._union.fsync(fh & _NUMBER, content_only=datasync))

    async def release(self, fh: FileHandleT) -> None:
        """Answer RELEASE: what is open belongs to the inode, until the kernel forgets that."""

    # Directories.

    @_guarded
    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        """Answer OPENDIR."""
        return inode

    @_guarded
    async def readdir(self, fh: FileHandleT, start_id: int, token: ReaddirToken) -> None:
        """Answer READDIRPLUS. The kernel is told of each entry's inode, and asks no more about it."""
        union = self._union
        first = union.before_listing(fh, start_id, attributes=True)
        if first is not None:
            await drive(first)
        for listed in union.entries(fh, start_id):
            if listed.node is None or listed.shown is None:
                entry = _unreachable(listed.kind, union.spare_number())
            else:
                entry = self._entry(listed.shown)
            fits = pyfuse3.readdir_reply(token, listed.name, entry, listed.cookie)
            # The kernel takes no reference through "." and "..".
            if listed.node is not None and fits and listed.cookie > LAST_DOT_COOKIE:
                listed.node.lookups += 1
            if not fits:
                if listed.node is not None:
                    union.nodes.drop_if_unknown(listed.node)
                return

    async def releasedir(self, fh: FileHandleT) -> None:
        """Answer RELEASEDIR: a directory's order of names belongs to its inode."""

    @_guarded
    async def fsyncdir(self, fh: FileHandleT, datasync: bool) -> None:
        """Answer FSYNCDIR."""
        await drive(self._union.fsyncdir(fh))

    @_guarded
    async def statfs(self, ctx: RequestContext) -> StatvfsData:
        """Answer STATFS."""
        found = self._union.statfs()
        answer = StatvfsData()
        for field in ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_favail"):
            setattr(answer, field, getattr(found, field))
        answer.f_namemax = policy.NAME_MAX
        return answer

    # Extended attributes.

    @_guarded
    async def getxattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> bytes:
        """Answer GETXATTR."""
        return self._translation.xattr_shown(name, self._union.getxattr(inode, name))

    @_guarded
    async def listxattr(self, inode: InodeT, ctx: RequestContext) -> Sequence[XAttrNameT]:
        """Answer LISTXATTR."""
        names = self._union.listxattr(inode, lambda: policy.may_see_trusted(ctx.pid))
        return cast(Sequence[XAttrNameT], names)

    @_guarded
    async def setxattr(self, inode: InodeT, name: XAttrNameT, value: bytes, ctx: RequestContext) -> None:
        """Answer SETXATTR; pyfuse3 has checked the flags."""
        await drive(self._union.setxattr(inode, name, self._translation.xattr_on_disk(name, value), 0))

    @_guarded
    async def removexattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> None:
        """Answer REMOVEXATTR."""
        await drive(self._union.removexattr(inode, name))


def _file_info(number: int, *, keeps_set_id: bool) -> FileInfo:
    handle = number | _KEEPS_SET_ID if keeps_set_id else number
    return FileInfo(fh=handle, keep_cache=True)


def serve(union: Union, device_fd: int, ready: Callable[[], None], presentation: Presentation) -> None:
    """Answer the requests on the mounted connection *device_fd* until it ends, and close it.

    Raises:
        OSError: the connection failed.
    """
    # pyfuse3 waits through this attribute of its own, which its support of asyncio replaces as well.
    operations = Operations(union, ready, presentation)
    waiting = SpinningTrio(operations.placement, operations.giving_way)
    pyfuse3.trio = waiting  # type: ignore[attr-defined] # not in its stubs
    pyfuse3.init(operations, f"/dev/fd/{device_fd}", set())
    try:
        trio.run(operations.main)
    except* ConnectionAbortedError:
        # What the kernel says, in the place of ENODEV, when the mount ends while a request is being handed over.
        pass
    finally:
        pyfuse3.close(unmount=False)
