"""What the daemon and the kernel agree on in INIT.

Owns which features are wanted. Decided by what the kernel offers in flags, since distributions add features to old
versions; only what no flag tells is told by the minor version of the protocol.
"""

import errno
import os
from typing import NamedTuple

from unionfs.fuse.kernel import abi, codec
from unionfs.fuse.kernel.abi import Init
from unionfs.fuse.kernel.codec import Offer

# FUSE_EXPORT_SUPPORT isn't wanted: file handles would last no longer than the kernel knows the inode, so they are
# declined. FUSE_ATOMIC_O_TRUNC isn't either where there is no OPEN that could truncate: it comes as SETATTR.
# ALLOW_IDMAP: the kernel maps ids where the mount says so, and tells who calls only where something is made.
_WANTED = (
    Init.ASYNC_READ | Init.BIG_WRITES | Init.DONT_MASK | Init.DO_READDIRPLUS | Init.READDIRPLUS_AUTO
    | Init.ASYNC_DIO | Init.NO_OPEN_SUPPORT | Init.PARALLEL_DIROPS | Init.MAX_PAGES | Init.CACHE_SYMLINKS
    | Init.NO_OPENDIR_SUPPORT | Init.EXPLICIT_INVAL_DATA | Init.HANDLE_KILLPRIV_V2 | Init.INIT_EXT
    | Init.NO_EXPORT_SUPPORT | Init.HAS_IOCTL_DIR | Init.SETXATTR_EXT | Init.ALLOW_IDMAP
)  # fmt: skip

# Passing through makes the mount a stacked one, of the least depth there is, so that overlayfs can still lie above it.
_STACK_DEPTH = 1


class Agreement(NamedTuple):
    """What both sides do from now on."""

    minor: int
    flags: Init

    @property
    def has_extended_setxattr(self) -> bool:
        """Whether SETXATTR says more than the flags of setxattr(2)."""
        return bool(self.flags & Init.SETXATTR_EXT)

    @property
    def gathers_writes(self) -> bool:
        """Whether the kernel holds writes back, and knows better than the layers what a file has."""
        return bool(self.flags & Init.WRITEBACK_CACHE)

    @property
    def passes_through(self) -> bool:
        """Whether the kernel asks with each open which file it may read and write by itself."""
        return bool(self.flags & Init.PASSTHROUGH)

    @property
    def writes_before_flush(self) -> bool:
        """Whether the kernel writes what a close finds dirty even where FLUSH has no answer."""
        return self.minor >= abi.WRITES_BEFORE_FLUSH

    @property
    def checks_inode_flags(self) -> bool:
        """Whether the kernel lets only those set inode flags who may."""
        return self.minor >= abi.CHECKS_INODE_FLAGS


NOTHING = Agreement(0, Init(0))


def agree(offered: Offer, *, acl: bool, writeback: bool, passthrough: bool) -> Agreement:
    """Agree to what is *offered* and wanted.

    With *acl* access lists are kept, with *writeback* writes are gathered, with *passthrough* content may pass through.

    Raises:
        OSError: EPROTO where the kernel's protocol is too old, or another one.
    """
    if offered.major != abi.MAJOR or offered.minor < abi.OLDEST_MINOR:
        raise OSError(errno.EPROTO, f"the kernel speaks FUSE {offered.major}.{offered.minor}")
    wanted = _WANTED
    asked_by_open = Init.PASSTHROUGH | Init.ATOMIC_O_TRUNC
    for flag, asked in ((Init.POSIX_ACL, acl), (Init.WRITEBACK_CACHE, writeback), (asked_by_open, passthrough)):
        wanted |= flag if asked else Init(0)
    return Agreement(min(offered.minor, abi.MINOR), offered.flags & wanted)


def reply(offered: Offer, agreement: Agreement, max_write: int) -> bytes:
    """Tell the kernel; messages carry up to *max_write* bytes of content."""
    return codec.init_reply(
        offered,
        agreement.flags,
        max_write=max_write,
        page_size=os.sysconf("SC_PAGESIZE"),
        max_stack_depth=_STACK_DEPTH if agreement.flags & Init.PASSTHROUGH else 0,
    )
