"""Which opens pass through, and what the kernel is told of them: a session without a kernel.

The device is a socket, and takes files only where a test lets it.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuse.kernel.asking import ROOT, attributes, entry, lookup, read, setattr_body, write
from tests.fuse.kernel.connection import Connection, connected
from tests.stacks import File, Layer
from tests.unions import EVERYTHING, Stack
from unionfs.fuse import policy
from unionfs.fuse.data_path import DataPath
from unionfs.fuse.kernel import abi, passthrough
from unionfs.fuse.kernel.abi import Init, Opcode, SetAttr
from unionfs.fuse.kernel.device import Device

LOWER: Layer = {"low": File(b"lower"), "other": File(b"other")}
ALL = (1 << 64) - 1
CACHED_LINE = "content isn't passed through, but cached: "


def open_file(kernel: Connection, number: int, flags: int = os.O_RDONLY) -> tuple[int, int, int]:
    """Give the handle, the flags and the number of the file to pass through to."""
    reply = kernel.ask(Opcode.OPEN, number, abi.OPEN_IN.pack(flags, 0))
    assert reply.error == 0
    handle, answered, backing = abi.OPEN_OUT.unpack(reply.body)
    return handle, answered, backing


def release(kernel: Connection, number: int, handle: int) -> None:
    assert kernel.ask(Opcode.RELEASE, number, abi.RELEASE_IN.pack(handle, 0, 0, 0)).error == 0


class Files:
    """The files that the device was told of, and what it says to the next."""

    def __init__(self) -> None:
        self.known: list[int] = []
        self.error = 0
        self.asked_again: list[int] = []

    def open(self, _fd: int) -> int:
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        self.known.append(max(self.known, default=0) + 1)
        return self.known[-1]

    def close(self, number: int) -> None:
        self.known.remove(number)

    def forget(self, number: int) -> None:
        self.asked_again.append(number)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Files:
    files = Files()
    monkeypatch.setattr(Device, "open_backing", files.open)
    monkeypatch.setattr(Device, "close_backing", files.close)
    monkeypatch.setattr(Device, "forget_attributes", files.forget)
    monkeypatch.setattr(passthrough, "is_initial_user_namespace", lambda: True)
    monkeypatch.setattr(passthrough, "has_capability", lambda _name: True)
    return files


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Connection]:
    stack = Stack(tmp_path / "stack", [LOWER], EVERYTHING)
    (stack.upper / "up").write_bytes(b"upper")
    with stack.opened() as union, connected(union.union, data_path=DataPath(passthrough=True)) as connection:
        connection.initialise(ALL)
        yield connection


CACHED = (0, abi.OPEN_KEEP_CACHE, 0)


def test_a_mount_that_passes_through_is_stacked_as_little_as_possible(tmp_path: Path, files: Files) -> None:
    del files
    stack = Stack(tmp_path / "stack", [LOWER], EVERYTHING)
    for offered, depth in ((ALL, 1), (ALL & ~Init.PASSTHROUGH, 0)):
        with stack.opened() as union, connected(union.union, data_path=DataPath(passthrough=True)) as kernel:
            assert abi.INIT_OUT.unpack(kernel.initialise(offered).body)[11] == depth


def test_all_who_have_a_file_open_share_it_until_the_last_closes_it(kernel: Connection, files: Files) -> None:
    number = lookup(kernel, b"up")
    assert open_file(kernel, number) == (0, abi.OPEN_PASSTHROUGH, 1)
    assert open_file(kernel, number, os.O_RDWR) == (1, abi.OPEN_PASSTHROUGH, 1)
    release(kernel, number, 0)
    assert files.known == [1]
    release(kernel, number, 1)
    assert files.known == []


def test_a_file_is_cached_until_the_last_who_opened_it_so_closes_it(kernel: Connection, files: Files) -> None:
    number = lookup(kernel, b"low")
    assert open_file(kernel, number) == CACHED
    write(kernel, number, b"UPPER")
    assert open_file(kernel, number) == CACHED
    release(kernel, number, 0)
    assert open_file(kernel, number) == CACHED
    release(kernel, number, 0)
    release(kernel, number, 0)
    assert open_file(kernel, number) == (0, abi.OPEN_PASSTHROUGH, 1)
    assert files.known == [1]


def test_a_new_file_is_passed_through_at_once(kernel: Connection, files: Files) -> None:
    for opcode in (Opcode.CREATE, Opcode.TMPFILE):
        reply = kernel.ask(opcode, ROOT, abi.CREATE_IN.pack(os.O_RDWR, 0o100600, 0, 0) + b"new\0")
        made = entry(reply.body)
        opened = abi.OPEN_OUT.unpack_from(reply.body, abi.ENTRY_OUT.size)
        assert opened == (1, abi.OPEN_PASSTHROUGH, 1)
        assert (made[2] > 0, made[3]) == (True, 0), "its attributes change without the daemon"
        assert 0 < made[5] <= 10_000_000, "but not before it is open"
        release(kernel, made[0], 1)
        assert files.known == []


def test_attributes_are_kept_but_while_a_file_is_written_to_by_others(kernel: Connection, files: Files) -> None:
    number = lookup(kernel, b"up")

    def valid() -> set[bool]:
        found = [abi.ATTR_OUT.unpack(kernel.ask(Opcode.GETATTR, number, bytes(16)).body)[0]]
        found.append(entry(kernel.ask(Opcode.LOOKUP, ROOT, b"up\0").body)[3])
        found.append(abi.STATX_OUT.unpack(kernel.ask(Opcode.STATX, number, bytes(24)).body)[0])
        body = kernel.ask(Opcode.SETATTR, number, setattr_body(SetAttr.MODE, mode=0o100640)).body
        return {valid > 0 for valid in (*found, abi.ATTR_OUT.unpack(body)[0])}

    open_file(kernel, number)
    assert (valid(), files.asked_again) == ({True}, [])
    open_file(kernel, number, os.O_WRONLY)
    open_file(kernel, number, os.O_RDWR)
    assert (valid(), files.asked_again) == ({False}, [number])
    release(kernel, number, 1)
    assert (valid(), files.asked_again) == ({False}, [number])
    release(kernel, number, 1)
    assert (valid(), files.asked_again) == ({True}, [number])


@pytest.mark.parametrize(("uid_holds", "mode"), [(True, 0o6755), (False, 0o755)])
def test_set_id_bits_go_when_the_kernel_asks_for_nothing_else(
    kernel: Connection, files: Files, monkeypatch: pytest.MonkeyPatch, mode: int, *, uid_holds: bool
) -> None:
    """So it does before it writes by itself what somebody without CAP_FSETID writes."""
    del files
    monkeypatch.setattr(policy, "holds_fsetid", lambda _pid: uid_holds)
    number = lookup(kernel, b"up")
    kernel.ask(Opcode.SETATTR, number, setattr_body(SetAttr.MODE, mode=0o106755))
    open_file(kernel, number, os.O_WRONLY)
    reply = kernel.ask(Opcode.SETATTR, number, setattr_body(0))
    assert abi.ATTR_OUT.unpack(reply.body)[12] & 0o7777 == mode
    release(kernel, number, 1)
    assert attributes(kernel, number)["mode"] & 0o7777 == mode


def test_a_lower_file_that_is_opened_for_writing_passes_through_at_once(kernel: Connection, files: Files) -> None:
    number = lookup(kernel, b"low")
    assert open_file(kernel, number, os.O_WRONLY) == (1, abi.OPEN_PASSTHROUGH, 1)
    assert open_file(kernel, number) == (0, abi.OPEN_PASSTHROUGH, 1)
    assert read(kernel, number) == b"lower"
    assert files.known == [1]


@pytest.mark.parametrize("access", [os.O_RDONLY, os.O_WRONLY])
@pytest.mark.parametrize(("kills", "mode"), [(0, 0o6755), (abi.OPEN_KILL_SUIDGID, 0o755)])
def test_opening_truncates_and_takes_set_id_bits_where_the_kernel_says_so(
    kernel: Connection, files: Files, access: int, kills: int, mode: int
) -> None:
    del files
    number = lookup(kernel, b"low")
    kernel.ask(Opcode.SETATTR, number, setattr_body(SetAttr.MODE, mode=0o106755))
    reply = kernel.ask(Opcode.OPEN, number, abi.OPEN_IN.pack(os.O_TRUNC | access, kills))
    handle, *answered = abi.OPEN_OUT.unpack(reply.body)
    assert answered == [abi.OPEN_PASSTHROUGH, 1]
    release(kernel, number, handle)
    shown = attributes(kernel, number)
    assert (shown["size"], shown["mode"] & 0o7777) == (0, mode)


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC])
def test_at_a_limit_that_one_open_is_cached(
    kernel: Connection, files: Files, caplog: pytest.LogCaptureFixture, error: int
) -> None:
    number = lookup(kernel, b"up")
    files.error = error
    assert open_file(kernel, number) == CACHED
    files.error = 0
    assert open_file(kernel, number) == CACHED
    release(kernel, number, 0)
    release(kernel, number, 0)
    assert open_file(kernel, number) == (0, abi.OPEN_PASSTHROUGH, 1)
    assert CACHED_LINE not in caplog.text


def test_a_kernel_that_refuses_is_asked_once(
    kernel: Connection, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    up, low = lookup(kernel, b"up"), lookup(kernel, b"low")
    open_file(kernel, up)
    files.error = errno.ELOOP
    write(kernel, low, b"UPPER")
    assert open_file(kernel, low) == CACHED
    assert open_file(kernel, lookup(kernel, b"other")) == CACHED
    assert open_file(kernel, up) == (0, abi.OPEN_PASSTHROUGH, 1), "who has it open goes on so"
    release(kernel, up, 0)
    release(kernel, up, 0)
    files.error = 0
    assert open_file(kernel, up) == CACHED, "the kernel still has opening files truncate them"
    release(kernel, up, 0)
    release(kernel, low, 0)
    assert caplog.text.count(CACHED_LINE + os.strerror(errno.ELOOP)) == 1
    assert files.known == []


@pytest.mark.parametrize(
    ("data_path", "writable", "passes"),
    [
        (DataPath(), True, True),
        (DataPath(), False, False),
        (DataPath(passthrough=True), False, True),
        (DataPath(passthrough=False), True, False),
        (DataPath(writeback=True), True, False),
    ],
)
def test_by_default_mounts_that_take_changes_pass_through(data_path: DataPath, *, writable: bool, passes: bool) -> None:
    assert data_path.settled(read_only=not writable).passthrough == passes


@pytest.mark.parametrize(
    ("data_path", "offered", "privileged", "reason"),
    [
        (DataPath(passthrough=True), ALL & ~Init.PASSTHROUGH, True, "the kernel doesn't offer it"),
        (DataPath(passthrough=True), ALL, False, "it needs CAP_SYS_ADMIN"),
        (DataPath(passthrough=True, writeback=True), ALL, True, "not together with the writeback cache"),
        (DataPath(), ALL, False, None),
    ],
)
def test_what_stands_in_the_way_is_told_in_one_line(
    tmp_path: Path, files: Files, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    data_path: DataPath, offered: int, reason: str | None, *, privileged: bool,
) -> None:  # fmt: skip
    del files
    monkeypatch.setattr(passthrough, "has_capability", lambda _name: privileged)
    stack = Stack(tmp_path / "stack", [LOWER], EVERYTHING)
    with stack.opened() as union, connected(union.union, data_path=data_path) as kernel:
        kernel.initialise(offered)
        number = lookup(kernel, b"low")
        assert kernel.ask(Opcode.OPEN, number, abi.OPEN_IN.pack(0, 0)).error == errno.ENOSYS
        assert read(kernel, number) == b"lower"
    lines = [record.getMessage() for record in caplog.records]
    assert [line.startswith(CACHED_LINE + str(reason)) for line in lines] == ([] if reason is None else [True])


def test_another_transport_says_that_it_passes_nothing_through(caplog: pytest.LogCaptureFixture) -> None:
    DataPath(passthrough=True).log_what_needs_the_protocol()
    assert [record.getMessage() for record in caplog.records] == [CACHED_LINE + "it needs the kernel transport"]
