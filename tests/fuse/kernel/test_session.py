"""The session that answers the kernel's requests itself, over a real union and without a mount."""

import errno
import logging
import os
import stat
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuse.kernel.asking import ROOT, attributes, dirents, entry, listing, lookup, read, setattr_body, write
from tests.fuse.kernel.connection import PATIENCE, Connection, connected
from tests.posix.acl import acl
from tests.stacks import Directory, File, HardLink, Layer, Symlink
from tests.unions import EVERYTHING, NOBODY, Stack
from unionfs.fuse.kernel import abi
from unionfs.fuse.kernel.abi import Init, Opcode, SetAttr
from unionfs.linux.copy import copy_content

LOWER: Layer = {
    "f": File(b"content", mode=0o640, xattrs={"user.a": b"1"}), "d/g": File(b"g"), "d/h": HardLink("d/g"),
    "s": Symlink("target"), "bad": Directory(xattrs={"trusted.overlay.redirect": b"../up"}),
    "program": File(b"#!", mode=0o6755), "shared": File(b"x", mode=0o2755),
}  # fmt: skip


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [LOWER, {"bad/f": File()}], EVERYTHING)


@pytest.fixture
def kernel(stack: Stack) -> Iterator[Connection]:
    with stack.opened() as opened, connected(opened.union) as connection:
        yield connection


ALL = (1 << 64) - 1
ACCESS = 34


def test_names_are_found_and_their_absence_may_be_remembered(kernel: Connection) -> None:
    reply = kernel.ask(Opcode.LOOKUP, ROOT, b"f\0")
    nodeid, generation, entry_valid, attr_valid, *_ = entry(reply.body)
    assert (nodeid > 1, generation) == (True, 0)
    assert min(entry_valid, attr_valid) > 86400 * 365
    absent = entry(kernel.ask(Opcode.LOOKUP, ROOT, b"absent\0").body)
    assert (absent[0], absent[2]) == (0, entry_valid)
    assert kernel.ask(Opcode.LOOKUP, nodeid, b"x\0").error == errno.ENOTDIR
    assert kernel.ask(Opcode.LOOKUP, ROOT, b"n" * 256 + b"\0").error == errno.ENAMETOOLONG
    assert kernel.ask(Opcode.LOOKUP, ROOT, b"bad\0").error == errno.EIO
    assert kernel.ask(Opcode.LOOKUP, 4711, b"x\0").error == errno.ESTALE


@pytest.mark.parametrize("opcode", [Opcode.OPEN, Opcode.OPENDIR, ACCESS, 4711])
def test_a_request_without_a_handler_is_not_sent_again(kernel: Connection, opcode: int) -> None:
    assert kernel.ask(opcode, ROOT, bytes(64)).error == errno.ENOSYS


@pytest.mark.parametrize(
    ("minor", "writable", "error"), [(45, True, errno.ENOSYS), (31, True, 0), (31, False, errno.ENOSYS)]
)
def test_a_close_is_told_of_only_where_the_kernel_writes_nothing_without(
    tmp_path: Path, minor: int, error: int, *, writable: bool
) -> None:
    stack = Stack(tmp_path / "stack", [LOWER], EVERYTHING, writable=writable)
    with stack.opened() as opened, connected(opened.union) as kernel:
        kernel.initialise(ALL, minor=minor)
        assert kernel.ask(Opcode.FLUSH, lookup(kernel, b"f"), bytes(24)).error == error


def test_forgetting_is_not_answered(kernel: Connection) -> None:
    number = lookup(kernel, b"f")
    lookup(kernel, b"f")
    kernel.send(Opcode.FORGET, number, abi.FORGET_IN.pack(1))
    assert attributes(kernel, number)["size"] == 7
    batch = abi.BATCH_FORGET_IN.pack(2, 0) + abi.FORGET_ONE.pack(number, 1) + abi.FORGET_ONE.pack(4711, 1)
    kernel.send(Opcode.BATCH_FORGET, 0, batch)
    kernel.send(Opcode.INTERRUPT, 0, struct.pack("=Q", 2))
    assert kernel.ask(Opcode.GETATTR, number, bytes(16)).error == errno.ESTALE
    assert kernel.is_silent()


def test_entries_are_made_for_the_caller_and_its_umask(kernel: Connection) -> None:
    made = {
        b"file": kernel.ask(Opcode.MKNOD, ROOT, abi.MKNOD_IN.pack(0o100666, 0, 0o027, 0) + b"file\0", uid=5, gid=6),
        b"dir": kernel.ask(Opcode.MKDIR, ROOT, abi.MKDIR_IN.pack(0o777, 0o027) + b"dir\0", uid=5, gid=6),
        b"fifo": kernel.ask(Opcode.MKNOD, ROOT, abi.MKNOD_IN.pack(0o010666, 0, 0o027, 0) + b"fifo\0", uid=5, gid=6),
        b"null": kernel.ask(Opcode.MKNOD, ROOT, abi.MKNOD_IN.pack(0o020666, 0x103, 0, 0) + b"null\0", uid=5, gid=6),
        b"link": kernel.ask(Opcode.SYMLINK, ROOT, b"link\0to/it\0", uid=5, gid=6),
    }
    modes = {b"file": 0o100640, b"dir": 0o040750, b"fifo": 0o010640, b"null": 0o020666, b"link": 0o120777}
    for name, reply in made.items():
        assert reply.error == 0
        number = entry(reply.body)[0]
        shown = attributes(kernel, number)
        assert (shown["mode"], shown["uid"], shown["gid"]) == (modes[name], 5, 6)
        assert lookup(kernel, name) == number
    assert attributes(kernel, lookup(kernel, b"null"))["rdev"] == 0x103
    assert kernel.ask(Opcode.READLINK, lookup(kernel, b"link")).body == b"to/it"
    assert kernel.ask(Opcode.MKDIR, ROOT, abi.MKDIR_IN.pack(0o777, 0) + b"f\0").error == errno.EEXIST


def test_a_file_without_a_name_is_made_and_named(kernel: Connection) -> None:
    reply = kernel.ask(Opcode.TMPFILE, ROOT, abi.CREATE_IN.pack(os.O_RDWR, 0o100600, 0, 0) + b"#1\0", uid=5)
    number = entry(reply.body)[0]
    assert write(kernel, number, b"content") == 7
    assert attributes(kernel, number)["nlink"] == 0
    assert kernel.ask(Opcode.LINK, ROOT, abi.LINK_IN.pack(number) + b"named\0").error == 0
    assert lookup(kernel, b"named") == number
    assert read(kernel, number) == b"content"


def test_content_is_read_and_written(kernel: Connection) -> None:
    number = lookup(kernel, b"f")
    assert read(kernel, number) == b"content"
    assert read(kernel, number, 3, 2) == b"nte"
    assert write(kernel, number, b"C" * 100_000, 3) == 100_000
    assert read(kernel, number, 1 << 17) == b"con" + b"C" * 100_000
    body = setattr_body(SetAttr.SIZE, size=2)
    assert kernel.ask(Opcode.SETATTR, number, body).error == 0
    assert read(kernel, number) == b"co"
    for datasync in (0, abi.FSYNC_CONTENT_ONLY):
        assert kernel.ask(Opcode.FSYNC, number, abi.FSYNC_IN.pack(0, datasync, 0)).error == 0
    assert kernel.ask(Opcode.FSYNCDIR, ROOT, abi.FSYNC_IN.pack(0, 0, 0)).error == 0


def test_ranges_are_allocated_found_and_copied(kernel: Connection) -> None:
    number = lookup(kernel, b"f")
    assert kernel.ask(Opcode.FALLOCATE, number, abi.FALLOCATE_IN.pack(0, 0, 100_000, 0, 0)).error == 0
    assert attributes(kernel, number)["size"] == 100_000
    reply = kernel.ask(Opcode.LSEEK, number, abi.LSEEK_IN.pack(0, 0, os.SEEK_DATA, 0))
    assert abi.LSEEK_OUT.unpack(reply.body) == (0,)
    beyond = kernel.ask(Opcode.LSEEK, number, abi.LSEEK_IN.pack(0, 200_000, os.SEEK_DATA, 0))
    assert beyond.error == errno.ENXIO
    target = lookup(kernel, b"g", lookup(kernel, b"d"))
    body = abi.COPY_FILE_RANGE_IN.pack(0, 0, target, 0, 1, 7, 0)
    assert abi.WRITE_OUT.unpack(kernel.ask(Opcode.COPY_FILE_RANGE, number, body).body)[0] == 7
    assert read(kernel, target) == b"gcontent"


@pytest.mark.parametrize(("kill", "mode"), [(0, 0o6755), (abi.WRITE_KILL_SUIDGID, 0o755)])
def test_set_id_bits_go_where_the_kernel_says_so(kernel: Connection, kill: int, mode: int) -> None:
    number = lookup(kernel, b"program")
    write(kernel, number, b"#", flags=kill)
    assert attributes(kernel, number)["mode"] & 0o7777 == mode


@pytest.mark.parametrize(("kill", "mode"), [(SetAttr(0), 0o6755), (SetAttr.KILL_SUIDGID, 0o755)])
def test_set_id_bits_go_with_a_truncation_where_the_kernel_says_so(
    kernel: Connection, kill: SetAttr, mode: int
) -> None:
    number = lookup(kernel, b"program")
    kernel.ask(Opcode.SETATTR, number, setattr_body(SetAttr.SIZE | kill, size=1))
    assert attributes(kernel, number)["mode"] & 0o7777 == mode


def test_attributes_are_changed(kernel: Connection) -> None:
    number = lookup(kernel, b"f")
    body = setattr_body(
        SetAttr.MODE | SetAttr.UID | SetAttr.GID | SetAttr.ATIME | SetAttr.MTIME,
        mode=0o100600, uid=7, gid=8, atime=-5, mtime=9,
    )  # fmt: skip
    assert kernel.ask(Opcode.SETATTR, number, body).error == 0
    shown = attributes(kernel, number)
    assert [shown[name] for name in ("mode", "uid", "gid", "mtime")] == [0o100600, 7, 8, 9]
    before = int(time.time())
    kernel.ask(Opcode.SETATTR, number, setattr_body(SetAttr.MTIME | SetAttr.MTIME_NOW, mtime=5))
    assert before <= attributes(kernel, number)["mtime"] <= time.time() + 1


def test_names_are_linked_renamed_and_removed(kernel: Connection) -> None:
    directory, number = lookup(kernel, b"d"), lookup(kernel, b"f")
    assert kernel.ask(Opcode.LINK, directory, abi.LINK_IN.pack(number) + b"linked\0").error == 0
    assert attributes(kernel, number)["nlink"] == 2
    assert kernel.ask(Opcode.RENAME, ROOT, abi.RENAME_IN.pack(directory) + b"f\0moved\0").error == 0
    assert lookup(kernel, b"moved", directory) == number
    exchange = abi.RENAME2_IN.pack(directory, 2, 0) + b"s\0moved\0"
    assert kernel.ask(Opcode.RENAME2, ROOT, exchange).error == 0
    assert lookup(kernel, b"s") == number
    assert kernel.ask(Opcode.RENAME2, ROOT, abi.RENAME2_IN.pack(ROOT, 1, 0) + b"s\0d\0").error == errno.EEXIST
    assert kernel.ask(Opcode.UNLINK, ROOT, b"s\0").error == 0
    assert kernel.ask(Opcode.UNLINK, ROOT, b"s\0").error == errno.ENOENT
    assert kernel.ask(Opcode.RMDIR, ROOT, b"d\0").error == errno.ENOTEMPTY
    assert kernel.ask(Opcode.RMDIR, ROOT, b"program\0").error == errno.ENOTDIR


@pytest.mark.parametrize("size", [300, 700, 65536])
@pytest.mark.parametrize("opcode", [Opcode.READDIR, Opcode.READDIRPLUS])
def test_a_listing_comes_in_pieces_of_any_size(kernel: Connection, opcode: Opcode, size: int) -> None:
    prefix = abi.ENTRY_OUT.size if opcode is Opcode.READDIRPLUS else 0
    found, cookie = [], 0
    while body := listing(kernel, ROOT, cookie, size, opcode):
        found += list(dirents(body, prefix))
        cookie = found[-1][2]
    assert sorted(name for name, *_ in found) == [b".", b"..", b"bad", b"d", b"f", b"program", b"s", b"shared"]
    kinds = {name: kind for name, _, _, kind, _ in found}
    assert (kinds[b"."], kinds[b"f"], kinds[b"s"], kinds[b"bad"]) == (4, 8, 10, 4)
    for name, number, _, _, _ in found:
        if name not in {b".", b"..", b"bad"}:
            assert number == lookup(kernel, name)


def test_a_listing_with_attributes_gives_references(kernel: Connection) -> None:
    body = listing(kernel, ROOT, 0, 65536, Opcode.READDIRPLUS)
    for name, number, _, _, before in dirents(body, abi.ENTRY_OUT.size):
        nodeid = entry(before)[0]
        if name == b"bad":
            # It can't be reached, so the kernel asks for it by name, and is told why.
            assert nodeid == 0
            continue
        assert nodeid == number
        if name in {b".", b".."}:
            continue
        kernel.send(Opcode.FORGET, number, abi.FORGET_IN.pack(1))
        assert kernel.ask(Opcode.GETATTR, number, bytes(16)).error == errno.ESTALE


def test_what_did_not_fit_is_not_counted(stack: Stack) -> None:
    with stack.opened() as opened, connected(opened.union) as kernel:
        listing(kernel, ROOT, 0, 500, Opcode.READDIRPLUS)
        given = [node for node in opened.union.nodes.table if node.number != ROOT]
        assert len(given) == 1
        assert given[0].lookups == 1


def test_extended_attributes_are_asked_for_by_size(kernel: Connection) -> None:
    number = lookup(kernel, b"f")

    def get(name: bytes, size: int) -> tuple[int, bytes]:
        return kernel.ask(Opcode.GETXATTR, number, abi.GETXATTR_IN.pack(size, 0) + name + b"\0")

    assert get(b"user.a", 0) == (0, abi.GETXATTR_OUT.pack(1, 0))
    assert get(b"user.a", 100) == (0, b"1")
    assert get(b"user.absent", 0)[0] == errno.ENODATA
    value = b"\0binary\0value"
    body = abi.SETXATTR_IN.pack(len(value), 1) + b"user.b\0" + value
    assert kernel.ask(Opcode.SETXATTR, number, body).error == 0
    assert kernel.ask(Opcode.SETXATTR, number, body).error == errno.EEXIST
    assert get(b"user.b", 100) == (0, value)
    assert get(b"user.b", 5)[0] == errno.ERANGE
    names = kernel.ask(Opcode.LISTXATTR, number, abi.GETXATTR_IN.pack(100, 0)).body
    assert sorted(names.split(b"\0")) == [b"", b"user.a", b"user.b"]
    assert kernel.ask(Opcode.LISTXATTR, number, abi.GETXATTR_IN.pack(0, 0)).body == abi.GETXATTR_OUT.pack(14, 0)
    assert kernel.ask(Opcode.REMOVEXATTR, number, b"user.b\0").error == 0
    assert kernel.ask(Opcode.REMOVEXATTR, number, b"user.b\0").error == errno.ENODATA


def test_trusted_attributes_are_listed_for_those_who_may_see_them(kernel: Connection) -> None:
    number = lookup(kernel, b"f")
    kernel.ask(Opcode.SETXATTR, number, abi.SETXATTR_IN.pack(1, 0) + b"trusted.x\0" + b"1")
    for pid, seen in ((os.getpid(), True), (0, False)):
        body = kernel.ask(Opcode.LISTXATTR, number, abi.GETXATTR_IN.pack(1000, 0), pid=pid).body
        assert (b"trusted.x" in body.split(b"\0")) == seen


@pytest.mark.parametrize(("kill", "mode"), [(0, 0o2755), (abi.SETXATTR_ACL_KILL_SGID, 0o755)])
def test_an_access_list_by_somebody_outside_of_the_group_takes_the_set_group_id_bit(
    kernel: Connection, kill: int, mode: int
) -> None:
    kernel.initialise(Init.SETXATTR_EXT | Init.POSIX_ACL)
    number = lookup(kernel, b"shared")
    value = acl(owner=7, group=5, other=5, users={NOBODY: 5}, mask=5)
    head = abi.SETXATTR_IN.pack(len(value), 0) + abi.SETXATTR_EXT_IN.pack(kill, 0)
    reply = kernel.ask(Opcode.SETXATTR, number, head + b"system.posix_acl_access\0" + value)
    assert reply.error == 0
    assert attributes(kernel, number)["mode"] & 0o7777 == mode
    got = kernel.ask(Opcode.GETXATTR, number, abi.GETXATTR_IN.pack(1000, 0) + b"system.posix_acl_access\0")
    assert got.body == value


def test_the_file_system_is_described(kernel: Connection) -> None:
    blocks, *_, namelen, _frsize, _ = abi.STATFS_OUT.unpack(kernel.ask(Opcode.STATFS, ROOT).body)
    assert blocks > 0
    assert namelen == 255


@pytest.mark.parametrize("message", [b"", b"short", bytes(40), abi.IN_HEADER.pack(99, 1, 2, 1, 0, 0, 0, 0, 0)])
def test_a_message_that_is_none_ends_nothing(
    kernel: Connection, caplog: pytest.LogCaptureFixture, message: bytes
) -> None:
    kernel.send_bytes(message)
    assert read(kernel, lookup(kernel, b"f")) == b"content"
    if message:
        assert "passed over" in caplog.text


@pytest.mark.parametrize("opcode", [opcode for opcode in Opcode if opcode not in {Opcode.DESTROY, Opcode.INIT}])
@pytest.mark.parametrize("body", [b"", b"\0", b"x", bytes(8), b"\xff" * 200], ids=range(5))
def test_a_request_cut_short_or_of_nonsense_ends_nothing(
    kernel: Connection, caplog: pytest.LogCaptureFixture, opcode: Opcode, body: bytes
) -> None:
    caplog.set_level(logging.CRITICAL)
    number = lookup(kernel, b"f")
    if opcode is Opcode.READ:
        # The size that would be asked for is one that no kernel asks for.
        body = body[:16]
    unique = kernel.send(opcode, number, body)
    if opcode not in {Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT}:
        kernel.receive(unique)
    again = lookup(kernel, b"program")
    assert stat.S_ISREG(attributes(kernel, again)["mode"])


def test_a_fault_of_ours_is_answered_and_ends_nothing(
    stack: Stack, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stack.opened() as opened, connected(opened.union) as kernel:
        monkeypatch.setattr(opened.union, "statfs", lambda: 1 // 0)
        assert kernel.ask(Opcode.STATFS, ROOT).error == errno.EIO
        assert "ZeroDivisionError" in caplog.text
        assert read(kernel, lookup(kernel, b"f")) == b"content"


def test_others_are_answered_while_a_file_is_copied_up(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    held, started = threading.Event(), threading.Event()

    def slowly(source: int, target: int, size: int) -> None:
        started.set()
        assert held.wait(PATIENCE)
        copy_content(source, target, size)

    monkeypatch.setattr("unionfs.layer.directory.Tree.is_at_hand", lambda *_: False)
    monkeypatch.setattr("unionfs.union.copy_up.copy_content", slowly)
    with stack.opened() as opened, connected(opened.union) as kernel:
        number, other = lookup(kernel, b"f"), lookup(kernel, b"program")
        body = abi.WRITE_IN.pack(0, 0, 1, 0, 0, 0, 0) + b"C"
        writing = kernel.send(Opcode.WRITE, number, body)
        assert started.wait(PATIENCE)
        removing = kernel.send(Opcode.UNLINK, ROOT, b"f\0")
        for _ in range(1000):
            assert attributes(kernel, other)["size"] == 2
        assert read(kernel, number) == b"content"
        held.set()
        assert kernel.receive(writing).error == 0
        assert kernel.receive(removing).error == 0
        assert read(kernel, number) == b"Content"
        assert entry(kernel.ask(Opcode.LOOKUP, ROOT, b"f\0").body)[0] == 0


def test_what_is_written_while_another_write_waits_does_not_take_its_place(tmp_path: Path) -> None:
    """The message of the first is gone by the time its file is copied up."""
    stack = Stack(tmp_path / "stack", [{"long": File(bytes(4 << 20)), "other": File()}], EVERYTHING)
    with stack.opened() as opened, connected(opened.union) as kernel:
        numbers = [lookup(kernel, name) for name in (b"long", b"other")]
        write(kernel, numbers[1], b"copied up")
        waiting = [
            kernel.send(Opcode.WRITE, number, abi.WRITE_IN.pack(0, 0, 4096, 0, 0, 0, 0) + content * 4096)
            for number, content in zip(numbers, (b"a", b"b"), strict=True)
        ]
        assert [kernel.receive(unique).error for unique in waiting] == [0, 0]
        assert [read(kernel, number) for number in numbers] == [b"a" * 4096, b"b" * 4096]
