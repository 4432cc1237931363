"""Requests of the kernel, and their answers as values."""

from collections.abc import Iterator

from tests.fuse.kernel.connection import Connection
from unionfs.fuse.kernel import abi
from unionfs.fuse.kernel.abi import Opcode

ROOT = 1


def entry(body: bytes) -> tuple[int, ...]:
    """Read an entry: nodeid, generation, both times, and the attributes."""
    return abi.ENTRY_OUT.unpack_from(body)


def lookup(kernel: Connection, name: bytes, parent: int = ROOT) -> int:
    reply = kernel.ask(Opcode.LOOKUP, parent, name + b"\0")
    assert reply.error == 0
    return entry(reply.body)[0]


def attributes(kernel: Connection, number: int) -> dict[str, int]:
    reply = kernel.ask(Opcode.GETATTR, number, bytes(16))
    assert reply.error == 0
    fields = abi.ATTR_OUT.unpack(reply.body)
    assert fields[0] > 86400 * 365
    names = ("ino", "size", "blocks", "atime", "mtime", "ctime", "_", "_", "_", "mode", "nlink", "uid", "gid", "rdev")
    return dict(zip(names, fields[3:], strict=False))


def setattr_body(valid: int, **values: int) -> bytes:
    fields = {"size": 0, "atime": 0, "mtime": 0, "mode": 0, "uid": 0, "gid": 0} | values
    return abi.SETATTR_IN.pack(
        valid, 0, 0, fields["size"], 0, fields["atime"], fields["mtime"], 0, 0, 0, 0, fields["mode"], 0,
        fields["uid"], fields["gid"], 0,
    )  # fmt: skip


def read(kernel: Connection, number: int, size: int = 4096, offset: int = 0) -> bytes:
    reply = kernel.ask(Opcode.READ, number, abi.READ_IN.pack(0, offset, size, 0, 0, 0, 0))
    assert reply.error == 0
    return reply.body


def write(kernel: Connection, number: int, content: bytes, offset: int = 0, flags: int = 0) -> int:
    body = abi.WRITE_IN.pack(0, offset, len(content), flags, 0, 0, 0) + content
    reply = kernel.ask(Opcode.WRITE, number, body)
    assert reply.error == 0
    written: int = abi.WRITE_OUT.unpack(reply.body)[0]
    return written


def dirents(body: bytes, prefix: int = 0) -> Iterator[tuple[bytes, int, int, int, bytes]]:
    """Give name, number, cookie, type, and what stands before each record."""
    start = 0
    while start < len(body):
        before = body[start : start + prefix]
        number, cookie, length, kind = abi.DIRENT.unpack_from(body, start + prefix)
        name = body[start + prefix + 24 : start + prefix + 24 + length]
        yield name, number, cookie, kind, before
        start += (prefix + 24 + length + 7) // 8 * 8


def listing(kernel: Connection, number: int, cookie: int, size: int, opcode: Opcode) -> bytes:
    reply = kernel.ask(opcode, number, abi.READ_IN.pack(0, cookie, size, 0, 0, 0, 0))
    assert reply.error == 0
    assert len(reply.body) <= size
    return reply.body
