"""Which mounts let the kernel gather what is written, and what is different where it does."""

import errno
import logging
import os
from pathlib import Path

import pytest

from tests.fuse.kernel.asking import ROOT, attributes, entry, lookup, read, setattr_body, write
from tests.fuse.kernel.connection import connected
from tests.stacks import File, Layer
from tests.unions import EVERYTHING, Stack
from unionfs.fuse.data_path import DataPath
from unionfs.fuse.kernel import abi
from unionfs.fuse.kernel.abi import Init, Opcode, SetAttr

LOWER: Layer = {"f": File(b"content"), "program": File(b"#!", mode=0o6755)}
ALL = (1 << 64) - 1
CTIME = 1 << 10
"""The field of SETATTR with the time of the change, which is the layer's own."""
GATHERED = DataPath(writeback=True)


@pytest.mark.parametrize(
    ("writeback", "writable", "agreed"),
    [(True, True, True), (True, False, False), (False, True, False), (None, True, False), (None, False, False)],
)
def test_writes_are_gathered_where_that_is_wanted_and_there_are_any(
    tmp_path: Path, *, writeback: bool | None, writable: bool, agreed: bool
) -> None:
    stack = Stack(tmp_path / "stack", [LOWER], EVERYTHING, writable=writable)
    with stack.opened() as opened, connected(opened.union, data_path=DataPath(writeback)) as kernel:
        fields = abi.INIT_OUT.unpack(kernel.initialise(ALL).body)
        assert bool(fields[3] & Init.WRITEBACK_CACHE) == agreed


def test_a_kernel_that_does_not_gather_writes_is_not_asked_to(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [LOWER], EVERYTHING)
    with stack.opened() as opened, connected(opened.union, data_path=GATHERED) as kernel:
        kernel.initialise(ALL & ~Init.WRITEBACK_CACHE)
        seek = abi.LSEEK_IN.pack(0, 0, os.SEEK_DATA, 0)
        assert kernel.ask(Opcode.LSEEK, lookup(kernel, b"f"), seek).error == 0


def test_what_comes_late_is_not_taken_for_a_change_by_whoever_sends_it(tmp_path: Path) -> None:
    """Pages are sent by nobody in particular, and after them the times that the kernel gave the file."""
    stack = Stack(tmp_path / "stack", [LOWER], EVERYTHING)
    with stack.opened() as opened, connected(opened.union, data_path=GATHERED) as kernel:
        kernel.initialise(ALL)
        number = lookup(kernel, b"program")
        write(kernel, number, b"##", flags=abi.WRITE_CACHE)
        body = setattr_body(SetAttr.MTIME | CTIME, mtime=1234)
        assert kernel.ask(Opcode.SETATTR, number, body, uid=65534).error == 0
        shown = attributes(kernel, number)
        assert (shown["mode"] & 0o7777, shown["mtime"]) == (0o6755, 1234)


def test_pages_that_come_after_the_time_of_their_change_leave_it(tmp_path: Path) -> None:
    """The kernel sends the times with a link or a rename, and may send the pages later."""
    stack = Stack(tmp_path / "stack", [LOWER], EVERYTHING)
    with stack.opened() as opened, connected(opened.union, data_path=GATHERED) as kernel:
        kernel.initialise(ALL)
        number = lookup(kernel, b"f")
        kernel.ask(Opcode.SETATTR, number, setattr_body(SetAttr.MTIME | CTIME, mtime=1234))
        write(kernel, number, b"##", flags=abi.WRITE_CACHE)
        assert attributes(kernel, number)["mtime"] == 1234
        write(kernel, number, b"##")
        assert attributes(kernel, number)["mtime"] > 1234


def test_a_file_truncated_to_the_size_that_it_has_keeps_its_time(tmp_path: Path) -> None:
    """The kernel sends no time then, and goes on showing the old one."""
    stack = Stack(tmp_path / "stack", [{"f": File(b"content", mtime_ns=1234 * 10**9)}], EVERYTHING)
    with stack.opened() as opened, connected(opened.union, data_path=GATHERED) as kernel:
        kernel.initialise(ALL)
        number = lookup(kernel, b"f")
        kernel.ask(Opcode.SETATTR, number, setattr_body(SetAttr.SIZE, size=7))
        assert attributes(kernel, number)["mtime"] == 1234


def test_the_present_time_is_the_one_that_the_kernel_knows(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [LOWER], EVERYTHING)
    body = setattr_body(SetAttr.ATIME | SetAttr.ATIME_NOW | SetAttr.MTIME, atime=1234, mtime=1234)
    with stack.opened() as opened, connected(opened.union, data_path=GATHERED) as kernel:
        kernel.initialise(ALL)
        number = lookup(kernel, b"f")
        kernel.ask(Opcode.SETATTR, number, body)
        shown = attributes(kernel, number)
        assert (shown["atime"], shown["mtime"]) == (1234, 1234)


def test_a_file_opened_for_writing_alone_is_read_for_the_rest_of_a_page(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [LOWER], EVERYTHING)
    with stack.opened() as opened, connected(opened.union, data_path=GATHERED) as kernel:
        kernel.initialise(ALL)
        body = abi.MKNOD_IN.pack(0o100200, 0, 0, 0) + b"new\0"
        number = entry(kernel.ask(Opcode.MKNOD, ROOT, body).body)[0]
        write(kernel, number, b"new content", flags=abi.WRITE_CACHE)
        assert read(kernel, number) == b"new content"


def test_the_kernel_seeks_by_itself_what_it_holds_back(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [LOWER], EVERYTHING)
    with stack.opened() as opened, connected(opened.union, data_path=GATHERED) as kernel:
        kernel.initialise(ALL)
        seek = abi.LSEEK_IN.pack(0, 0, os.SEEK_DATA, 0)
        assert kernel.ask(Opcode.LSEEK, lookup(kernel, b"f"), seek).error == errno.ENOSYS


@pytest.mark.parametrize(("data_path", "lines"), [(GATHERED, 1), (DataPath(), 0), (DataPath(writeback=False), 0)])
def test_another_transport_says_that_it_gathers_nothing(
    caplog: pytest.LogCaptureFixture, data_path: DataPath, lines: int
) -> None:
    caplog.set_level(logging.WARNING)
    data_path.log_what_needs_the_protocol()
    assert len(caplog.records) == lines
