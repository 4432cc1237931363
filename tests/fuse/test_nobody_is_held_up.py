"""While a disk keeps one request waiting, others are answered: on both transports, whatever it is that blocks."""

import errno
import importlib
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import pyfuse3
import pytest
import trio

from tests.fuse.kernel.asking import ROOT, attributes, lookup, write
from tests.fuse.kernel.connection import PATIENCE, connected
from tests.stacks import File
from tests.unions import Stack
from unionfs.fuse.kernel import abi
from unionfs.fuse.kernel.abi import Opcode
from unionfs.fuse.pyfuse3_transport import Operations
from unionfs.union import Union
from unionfs.union.union import Settings

NO_CONTEXT = cast(pyfuse3.RequestContext, None)
ANSWERS = 1000


class Blocking(NamedTuple):
    """A call that blocks, and a request for a file or directory that comes to it, as each transport has it."""

    module: str
    function: str
    name: bytes
    opcode: Opcode
    body: bytes
    request: Callable[[Operations, int], Awaitable[Any]]


BLOCKING = {
    "a cold read": Blocking(
        "os", "pread", b"f", Opcode.READ, abi.READ_IN.pack(0, 0, 4096, 0, 0, 0, 0),
        lambda operations, number: operations.read(number, 0, 4096),
    ),
    "a copy-up": Blocking(
        "unionfs.union.copy_up", "copy_content", b"f", Opcode.WRITE, abi.WRITE_IN.pack(0, 0, 1, 0, 0, 0, 0) + b"C",
        lambda operations, number: operations.write(number, 0, b"C"),
    ),
    "fsync": Blocking(
        "os", "fsync", b"written", Opcode.FSYNC, abi.FSYNC_IN.pack(0, 0, 0),
        lambda operations, number: operations.fsync(number, datasync=False),
    ),
    "a scan": Blocking(
        "unionfs.union.loading", "read_names", b"d", Opcode.LOOKUP, b"g\0",
        lambda operations, number: operations.lookup(number, b"g", NO_CONTEXT),
    ),
    "an inode": Blocking(
        "unionfs.union.loading", "read_attributes", b"d", Opcode.LOOKUP, b"g\0",
        lambda operations, number: operations.lookup(number, b"g", NO_CONTEXT),
    ),
    "a listing": Blocking(
        "unionfs.union.loading", "read_attributes", b"d", Opcode.READDIRPLUS, abi.READ_IN.pack(0, 0, 4096, 0, 0, 0, 0),
        lambda operations, number: operations.readdir(number, 0, cast(pyfuse3.ReaddirToken, None)),
    ),
}  # fmt: skip


class Held:
    """Holds every call until told to go on."""

    def __init__(self, blocking: Blocking, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self._go_on = threading.Event(), threading.Event()
        module = importlib.import_module(blocking.module)
        self._real = getattr(module, blocking.function)
        monkeypatch.setattr(module, blocking.function, self)
        monkeypatch.setattr(os, "preadv", self._not_in_memory)

    @staticmethod
    def _not_in_memory(*_: object) -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def __call__(self, *arguments: object) -> object:
        self.begun.set()
        assert self._go_on.wait(PATIENCE)
        return self._real(*arguments)

    def let_go(self) -> None:
        self._go_on.set()


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    lower = {"f": File(b"content"), "written": File(b"w"), "d/g": File(), "other": File(b"other")}
    return Stack(tmp_path / "stack", [lower], Settings())


def slow_down(union: Union) -> None:
    for directory in (union.nodes.root.upper, *union.nodes.root.lowers):
        assert directory is not None
        directory.tree.pace.note(1.0, 0)


@pytest.mark.parametrize("blocking", BLOCKING.values(), ids=BLOCKING.keys())
def test_others_are_answered_over_the_kernels_protocol(
    stack: Stack, blocking: Blocking, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stack.opened() as opened, connected(opened.union) as kernel:
        write(kernel, lookup(kernel, b"written"), b"W")
        number, other = lookup(kernel, blocking.name), lookup(kernel, b"other")
        slow_down(opened.union)
        held = Held(blocking, monkeypatch)
        asked = kernel.send(blocking.opcode, number, blocking.body)
        assert held.begun.wait(PATIENCE)
        for _ in range(ANSWERS // 2):
            assert lookup(kernel, b"other", ROOT) == other
            assert attributes(kernel, other)["size"] == 5
        held.let_go()
        assert kernel.receive(asked).error == 0


@pytest.mark.parametrize("blocking", BLOCKING.values(), ids=BLOCKING.keys())
def test_others_are_answered_over_pyfuse3(stack: Stack, blocking: Blocking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyfuse3, "readdir_reply", lambda *_: True)
    answered: list[bool] = []

    async def ask(operations: Operations, number: int) -> None:
        await blocking.request(operations, number)
        answered.append(True)

    async def main(operations: Operations, union: Union) -> None:
        written = (await operations.lookup(ROOT, b"written", NO_CONTEXT)).st_ino
        await operations.write(written, 0, b"W")
        number = (await operations.lookup(ROOT, blocking.name, NO_CONTEXT)).st_ino
        other = (await operations.lookup(ROOT, b"other", NO_CONTEXT)).st_ino
        slow_down(union)
        held = Held(blocking, monkeypatch)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, operations, number)
            assert await trio.to_thread.run_sync(held.begun.wait, PATIENCE)
            for _ in range(ANSWERS // 2):
                assert (await operations.lookup(ROOT, b"other", NO_CONTEXT)).st_ino == other
                assert (await operations.getattr(other, NO_CONTEXT)).st_size == 5
            assert not answered
            held.let_go()

    with stack.opened() as opened:
        trio.run(main, Operations(opened.union, lambda: None), opened.union)
    assert answered
