"""What the kernel asks beyond stat(2): the time of birth, and the flags that an inode has on disk."""

import errno
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuse.kernel.asking import lookup
from tests.fuse.kernel.connection import Connection, connected
from tests.stacks import Directory, File
from tests.unions import EVERYTHING, Stack
from unionfs.fuse.kernel import abi
from unionfs.fuse.kernel.abi import Opcode
from unionfs.linux.inode_flags import EXTENDED, PLAIN, Form

ALL = (1 << 64) - 1


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [{"f": File(b"content"), "d": Directory()}], EVERYTHING)


@pytest.fixture
def kernel(stack: Stack) -> Iterator[Connection]:
    with stack.opened() as opened, connected(opened.union) as connection:
        yield connection


def test_the_time_of_birth_is_told_with_all_else(kernel: Connection, stack: Stack) -> None:
    number = lookup(kernel, b"f")
    reply = kernel.ask(Opcode.STATX, number, struct.pack("=IIQII", 0, 0, 0, 0, 0xFFF))
    assert reply.error == 0
    valid, _, _, mask, _, _, nlink, uid, gid, mode, _, ino, size, *_ = abi.STATX_OUT.unpack(reply.body)
    assert valid > 86400 * 365
    assert mask == abi.STATX_BASIC_STATS | abi.STATX_BTIME
    assert (nlink, uid, gid, mode, ino, size) == (1, 0, 0, 0o100644, number, 7)
    seconds, nanoseconds, _ = struct.unpack_from("=qIi", reply.body, 32 + 80)
    made_ns = seconds * 10**9 + nanoseconds
    assert time.time_ns() - 3600 * 10**9 < made_ns <= (stack.lower(0) / "f").stat().st_ctime_ns


def ioctl_body(command: int, value: bytes = b"", out_size: int = 0) -> bytes:
    return abi.IOCTL_IN.pack(0, 0, command, 0, len(value), out_size) + value


@pytest.mark.parametrize("form", [PLAIN, EXTENDED])
def test_inode_flags_are_told_and_set_in_both_forms(kernel: Connection, form: Form) -> None:
    kernel.initialise(ALL)
    for number in (lookup(kernel, b"f"), lookup(kernel, b"d")):
        reply = kernel.ask(Opcode.IOCTL, number, ioctl_body(form.get, out_size=form.size))
        assert reply.error == 0
        assert reply.body[:16] == bytes(16)
        assert len(reply.body) == 16 + form.size
        flags = struct.unpack_from("=I", reply.body, 16)[0]
        value = struct.pack("=I", flags | {PLAIN: 0x40, EXTENDED: 0x80}[form]) + reply.body[20:]
        assert kernel.ask(Opcode.IOCTL, number, ioctl_body(form.set, value)) == (0, bytes(16))
        again = kernel.ask(Opcode.IOCTL, number, ioctl_body(form.get, out_size=form.size))
        assert again.body[16:] == value


def test_no_more_is_answered_than_a_callers_int_holds(kernel: Connection) -> None:
    """Before Linux 5.13 the kernel hands out the answer as it is, and allows for the 8 bytes of a long."""
    reply = kernel.ask(Opcode.IOCTL, lookup(kernel, b"f"), ioctl_body(PLAIN.get, out_size=8))
    assert len(reply.body) == 16 + 4


def test_inode_flags_are_set_only_where_the_kernel_checks_who_sets_them(kernel: Connection) -> None:
    kernel.initialise(ALL, minor=33)
    number = lookup(kernel, b"f")
    assert kernel.ask(Opcode.IOCTL, number, ioctl_body(PLAIN.set, bytes(4))).error == errno.ENOTTY
    assert kernel.ask(Opcode.IOCTL, number, ioctl_body(0x5401, out_size=60)).error == errno.ENOTTY
