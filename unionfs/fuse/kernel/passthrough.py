"""Files whose content the kernel reads and writes in their layer by itself (FUSE_PASSTHROUGH, Linux 6.9).

Owns which opens pass through, and the files that the kernel was told of. By the kernel's rules all opens of an inode
that last at the same time go one way, and to the same file. So a file goes the way that its first open takes until its
last is closed, and what a copy-up may still move isn't passed through: who opened it before would go on with the old
file.
"""

import errno
import logging
import os

from unionfs.fuse.data_path import DataPath
from unionfs.fuse.kernel import abi
from unionfs.fuse.kernel.abi import Init
from unionfs.fuse.kernel.device import Device
from unionfs.linux.ids import is_initial_user_namespace
from unionfs.linux.mounts import file_system_type
from unionfs.linux.process import has_capability
from unionfs.union import Union

_log = logging.getLogger(__name__)

# overlayfs, FUSE and ecryptfs (include/uapi/linux/magic.h): a mount that passes through may lie on none of them, or it
# couldn't be a layer of another one.
_STACKED = (0x794C7630, 0x65735546, 0xF15F)
_CACHED = abi.OPEN_OUT.pack(0, abi.OPEN_KEEP_CACHE, 0)
_NO_BACKING = 0
# Handles: who closes a file that was opened so has written to it, maybe.
_READS, _WRITES = 0, 1
_SHORT_OF_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC)


class _Opened:
    """An inode that is open: how often, how often for writing, and the number of its file with the kernel."""

    __slots__ = ("backing", "users", "writers")

    def __init__(self, backing: int) -> None:
        self.backing = backing
        self.users = 0
        self.writers = 0


class Passthrough:
    """The open files of one connection.

    ``is_on``: the kernel asks with each open which way it goes. ``changing`` holds the inodes that are open for writing
    and passed through: what programs write to them, and above all to maps of them, changes attributes of which the
    daemon isn't told.
    """

    def __init__(self, union: Union, device: Device) -> None:
        self._union = union
        self._device = device
        self._opened: dict[int, _Opened] = {}
        self._ended = False
        self._silent = False
        self.is_on = False
        self.changing: set[int] = set()

    def settle(self, offered: Init, data_path: DataPath) -> bool:
        """Tell whether files are to be passed through; a line in the log says why they aren't, if that is wanted."""
        if not data_path.passthrough:
            return False
        self._silent = data_path.silent
        reason = self._obstacle(offered, data_path)
        if reason is not None:
            self._say_cached(reason)
        return reason is None

    def _obstacle(self, offered: Init, data_path: DataPath) -> str | None:
        if data_path.writeback:
            return "not together with the writeback cache"
        if not offered & Init.PASSTHROUGH:
            return "the kernel doesn't offer it (Linux has it since 6.9)"
        if not is_initial_user_namespace() or not has_capability("sys_admin"):
            return "it needs CAP_SYS_ADMIN outside of any user namespace"
        if any(file_system_type(layer.fd()) in _STACKED for layer in self._union.layers):
            return "a layer lies on a stacked file system itself"
        return None

    def passes(self, number: int) -> bool:
        """Tell whether the inode *number* is open and passed through."""
        opened = self._opened.get(number)
        return opened is not None and opened.backing != _NO_BACKING

    def note_open(self, number: int, flags: int, *, is_new: bool = False) -> bytes:
        """Take note that the file *number* is opened with *flags*, those of open(2), and give the answer.

        One that *is_new* was made by the same request.

        Raises:
            OSError: it is opened for writing, and its layer refuses that.
        """
        writes = flags & os.O_ACCMODE != os.O_RDONLY
        opened = self._opened.get(number)
        if opened is None:
            opened = _Opened(self._backing(number, writes=writes))
            self._opened[number] = opened
        elif opened.backing and writes:
            # Opened as the kernel is going to, whose own failure would be EIO to the program.
            self._union.settled_content(number, writable=True)
        opened.users += 1
        if not opened.backing:
            return _CACHED
        if not writes:
            return abi.OPEN_OUT.pack(_READS, abi.OPEN_PASSTHROUGH, opened.backing)
        opened.writers += 1
        if number not in self.changing:
            self.changing.add(number)
            if not is_new:
                self._device.forget_attributes(number)
        return abi.OPEN_OUT.pack(_WRITES, abi.OPEN_PASSTHROUGH, opened.backing)

    def note_release(self, number: int, handle: int) -> None:
        """Take note that an open of the file *number* has ended, which was answered with *handle*."""
        opened = self._opened.get(number)
        if opened is None:
            # What was made and opened in one request is released in any case.
            return
        opened.users -= 1
        if handle == _WRITES:
            opened.writers -= 1
            if not opened.writers:
                # Since the first of them opened it the kernel has kept no attributes.
                self.changing.discard(number)
        if not opened.users:
            del self._opened[number]
            if opened.backing:
                self._device.close_backing(opened.backing)

    def _backing(self, number: int, *, writes: bool) -> int:
        """Tell the kernel of the file that holds the content of *number*, and give its number there, 0 for none."""
        if self._ended:
            return _NO_BACKING
        try:
            file = self._union.settled_content(number, writable=writes)
        except OSError as error:
            if error.errno not in _SHORT_OF_ROOM:
                raise
            return _NO_BACKING
        return _NO_BACKING if file is None else self._tell_kernel_of(file.fd)

    def _tell_kernel_of(self, fd: int) -> int:
        try:
            return self._device.open_backing(fd)
        except OSError as error:
            if error.errno not in _SHORT_OF_ROOM:
                self._ended = True
                self._say_cached(error.strerror or str(error))
            return _NO_BACKING

    def _say_cached(self, reason: str) -> None:
        level = logging.DEBUG if self._silent else logging.WARNING
        _log.log(level, "content isn't passed through, but cached: %s", reason)
