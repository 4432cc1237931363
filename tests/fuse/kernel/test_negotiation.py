"""INIT as each kernel sends it, and what is agreed on then.

The bytes are those of a little-endian machine. Each kernel's flags are the ones that its ``fuse_send_init`` offers for
a mount without DAX, in the order of include/uapi/linux/fuse.h.
"""

import errno
import os
import socket
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fuse.kernel.connection import Connection, connected
from tests.unions import EVERYTHING, Stack
from unionfs.fuse.data_path import DataPath
from unionfs.fuse.kernel import abi, codec, negotiation
from unionfs.fuse.kernel.abi import Init
from unionfs.fuse.kernel.negotiation import Agreement
from unionfs.fuse.kernel.session import Session
from unionfs.union.union import Settings

ALL = (1 << 64) - 1
LITTLE_ENDIAN = pytest.mark.skipif(sys.byteorder != "little", reason="the bytes are written for little-endian machines")

HEADER = (
    "1a000000"  # opcode: INIT
    "0200000000000000"  # unique
    "0000000000000000"  # nodeid: none
    "00000000 00000000 00000000"  # uid, gid, pid
    "0000 0000"  # no extensions, padding
)


class Kernel(NamedTuple):
    """What a version sends, and the flags of the answer."""

    message: str
    low: str
    high: str
    extended_setxattr: bool
    writes_before_flush: bool
    checks_inode_flags: bool


KERNELS = {
    "5.4": Kernel(
        "38000000" + HEADER + "07000000 1f000000"  # 7.31
        "00000200"  # max_readahead: 128 KiB
        # ASYNC_READ POSIX_LOCKS ATOMIC_O_TRUNC EXPORT_SUPPORT BIG_WRITES DONT_MASK SPLICE_WRITE
        "fb"
        # SPLICE_MOVE SPLICE_READ FLOCK_LOCKS HAS_IOCTL_DIR AUTO_INVAL_DATA DO_READDIRPLUS READDIRPLUS_AUTO ASYNC_DIO
        "ff"
        # WRITEBACK_CACHE NO_OPEN_SUPPORT PARALLEL_DIROPS HANDLE_KILLPRIV POSIX_ACL ABORT_ERROR MAX_PAGES CACHE_SYMLINKS
        "ff"
        # NO_OPENDIR_SUPPORT EXPLICIT_INVAL_DATA
        "03",
        # ASYNC_READ BIG_WRITES DONT_MASK; HAS_IOCTL_DIR DO_READDIRPLUS READDIRPLUS_AUTO ASYNC_DIO;
        # NO_OPEN_SUPPORT PARALLEL_DIROPS POSIX_ACL MAX_PAGES CACHE_SYMLINKS; NO_OPENDIR_SUPPORT EXPLICIT_INVAL_DATA
        low="61e8d603", high="00000000",
        extended_setxattr=False, writes_before_flush=False, checks_inode_flags=False,
    ),
    "5.10": Kernel(
        "38000000" + HEADER + "07000000 20000000"  # 7.32
        "00000200 fbffff03",
        low="61e8d603", high="00000000",
        extended_setxattr=False, writes_before_flush=True, checks_inode_flags=False,
    ),
    "5.15": Kernel(
        "38000000" + HEADER + "07000000 22000000"  # 7.34
        "00000200 fbffff33",  # and HANDLE_KILLPRIV_V2 SETXATTR_EXT
        low="61e8d633", high="00000000",
        extended_setxattr=True, writes_before_flush=True, checks_inode_flags=True,
    ),
    "6.1": Kernel(
        "68000000" + HEADER + "07000000 25000000"  # 7.37
        "00000200 fbffff73"  # and INIT_EXT
        "01000000" + "00" * 44,  # SECURITY_CTX
        low="61e8d673", high="00000000",
        extended_setxattr=True, writes_before_flush=True, checks_inode_flags=True,
    ),
    "6.6": Kernel(
        "68000000" + HEADER + "07000000 27000000"  # 7.39
        "00000200 fbffff73"
        "1d000000" + "00" * 44,  # and CREATE_SUPP_GROUP HAS_EXPIRE_ONLY DIRECT_IO_RELAX
        low="61e8d673", high="00000000",
        extended_setxattr=True, writes_before_flush=True, checks_inode_flags=True,
    ),
    "6.12": Kernel(
        "68000000" + HEADER + "07000000 29000000"  # 7.41
        "00000200 fbffff73"
        "fd010000" + "00" * 44,  # and PASSTHROUGH NO_EXPORT_SUPPORT HAS_RESEND ALLOW_IDMAP
        # NO_EXPORT_SUPPORT; ALLOW_IDMAP
        low="61e8d673", high="40010000",
        extended_setxattr=True, writes_before_flush=True, checks_inode_flags=True,
    ),
    "6.18": Kernel(
        "68000000" + HEADER + "07000000 2d000000"  # 7.45
        "00000200 fbffff73"
        "fd050000" + "00" * 44,  # and REQUEST_TIMEOUT
        low="61e8d673", high="40010000",
        extended_setxattr=True, writes_before_flush=True, checks_inode_flags=True,
    ),
}  # fmt: skip


def agreed_with(message: bytes) -> tuple[Agreement, bytes]:
    """Give what is agreed on, and the answer."""
    offered = codec.offer(codec.request(memoryview(message)).body)
    agreement = negotiation.agree(offered, acl=True, writeback=False, passthrough=False)
    return agreement, negotiation.reply(offered, agreement, 1 << 20)


@LITTLE_ENDIAN
@pytest.mark.skipif(os.sysconf("SC_PAGESIZE") != 4096, reason="the bytes count pages of 4 KiB")
@pytest.mark.parametrize("version", KERNELS)
def test_each_kernel_is_answered_with_what_it_offers_and_is_of_use(version: str) -> None:
    kernel = KERNELS[version]
    message = bytes.fromhex(kernel.message)
    _, answer = agreed_with(message)
    assert answer.hex(" ", 4).split() == [
        "07000000", message[44:48].hex(),  # the kernel's own version
        "00000200",  # max_readahead: what it offers
        kernel.low,
        "40003000",  # max_background 64, congestion_threshold 48
        "00001000",  # max_write: 1 MiB
        "01000000",  # time_gran: 1 ns
        "00010000",  # max_pages 256, map_alignment 0
        kernel.high,
        "00000000",  # max_stack_depth
        *["00000000"] * 6,
    ]  # fmt: skip


@LITTLE_ENDIAN
@pytest.mark.parametrize("version", KERNELS)
def test_what_follows_from_the_agreement_is_known_of_each_kernel(version: str) -> None:
    kernel = KERNELS[version]
    agreement, _ = agreed_with(bytes.fromhex(kernel.message))
    assert agreement.has_extended_setxattr == kernel.extended_setxattr
    assert agreement.writes_before_flush == kernel.writes_before_flush
    assert agreement.checks_inode_flags == kernel.checks_inode_flags
    assert not agreement.gathers_writes


@LITTLE_ENDIAN
def test_what_a_distribution_has_added_to_an_old_version_is_taken() -> None:
    old = bytearray.fromhex(KERNELS["5.4"].message)
    old[55] |= 0x30  # HANDLE_KILLPRIV_V2 SETXATTR_EXT
    agreement, _ = agreed_with(bytes(old))
    assert agreement.minor == 31
    assert agreement.flags & Init.HANDLE_KILLPRIV_V2
    assert agreement.has_extended_setxattr


@LITTLE_ENDIAN
def test_a_second_word_counts_only_where_the_first_announces_it() -> None:
    silent = bytearray.fromhex(KERNELS["6.18"].message)
    silent[55] &= 0x3F  # INIT_EXT
    agreement, answer = agreed_with(bytes(silent))
    assert agreement.flags >> 32 == 0
    assert answer[32:36] == bytes(4)


@LITTLE_ENDIAN
def test_a_kernel_newer_than_known_is_spoken_to_in_the_newest_version_known() -> None:
    new = bytearray.fromhex(KERNELS["6.18"].message)
    new[44] = 99
    agreement, answer = agreed_with(bytes(new))
    assert agreement.minor == abi.MINOR
    assert answer[4:8] == bytes([abi.MINOR, 0, 0, 0])


def agreed(body: bytes) -> Init:
    fields = abi.INIT_OUT.unpack(body)
    return Init(fields[3] | fields[10] << 32)


def test_only_what_is_offered_and_wanted_is_agreed(tmp_path: Path) -> None:
    ready = threading.Event()
    stack = Stack(tmp_path / "stack", [{}], EVERYTHING)
    with stack.opened() as opened, connected(opened.union, ready) as kernel:
        reply = kernel.initialise(Init.BIG_WRITES | Init.POSIX_ACL | Init.WRITEBACK_CACHE)
        assert ready.is_set()
        assert agreed(reply.body) == Init.BIG_WRITES | Init.POSIX_ACL
    with stack.opened() as opened, connected(opened.union) as kernel:
        flags = agreed(kernel.initialise(ALL).body)
        for wanted in (Init.NO_OPEN_SUPPORT, Init.NO_OPENDIR_SUPPORT, Init.DONT_MASK, Init.SETXATTR_EXT, Init.INIT_EXT):
            assert flags & wanted
        # ATOMIC_O_TRUNC, AUTO_INVAL_DATA, WRITEBACK_CACHE, HANDLE_KILLPRIV
        assert not flags & (1 << 3 | 1 << 12 | 1 << 16 | 1 << 19)


def test_file_handles_are_declined(tmp_path: Path) -> None:
    """They would last while the kernel knows the inode: overlayfs above would count links wrong after it forgot."""
    stack = Stack(tmp_path / "stack", [{}], EVERYTHING)
    with stack.opened() as opened, connected(opened.union) as kernel:
        flags = agreed(kernel.initialise(ALL).body)
        assert flags & Init.NO_EXPORT_SUPPORT
        assert not flags & 1 << 4  # EXPORT_SUPPORT


def test_access_lists_are_agreed_only_where_they_are_kept(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [{}], Settings(acl=False))
    with stack.opened() as opened, connected(opened.union) as kernel:
        assert not agreed(kernel.initialise(ALL).body) & Init.POSIX_ACL


@pytest.mark.parametrize(("major", "minor"), [(6, 99), (7, 30), (8, 0)])
def test_a_protocol_that_is_too_old_or_new_is_refused_and_nothing_is_served(
    tmp_path: Path, major: int, minor: int
) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stack = Stack(tmp_path / "stack", [{}], EVERYTHING)
    ready = threading.Event()
    with ours, theirs, stack.opened() as opened:
        kernel = Connection(ours)
        unique = kernel.send(abi.Opcode.INIT, 0, abi.INIT_IN.pack(major, minor, 0, 0))
        session = Session(opened.union, theirs.fileno(), ready.set, DataPath().settled(read_only=False))
        with pytest.raises(OSError, match=rf"the kernel speaks FUSE {major}\.{minor}") as raised:
            session.run()
        assert raised.value.errno == errno.EPROTO
        assert kernel.receive(unique).error == errno.EPROTO
        assert not ready.is_set()
