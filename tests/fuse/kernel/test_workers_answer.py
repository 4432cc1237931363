"""The last step of an operation is answered by the worker that does it, also while the loop is busy elsewhere."""

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fuse.kernel.asking import ROOT, attributes, lookup, read, write
from tests.fuse.kernel.connection import PATIENCE, Connection, connected
from tests.stacks import File
from tests.unions import Kernel, Stack, open_descriptors
from unionfs.fuse.kernel import abi
from unionfs.fuse.kernel.abi import Opcode
from unionfs.union.step import Aside, Last, Operation
from unionfs.union.union import Settings

READ = abi.READ_IN.pack(0, 0, 4096, 0, 0, 0, 0)
FSYNC = abi.FSYNC_IN.pack(0, 0, 0)


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [{"f": File(b"content"), "g": File(b"other")}], Settings())


@pytest.fixture
def opened(stack: Stack) -> Iterator[Kernel]:
    with stack.opened() as kernel:
        yield kernel


@pytest.fixture
def kernel(opened: Kernel) -> Iterator[Connection]:
    with connected(opened.union) as connection:
        yield connection


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no page be in the page cache."""

    def blocks(*_: object) -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "preadv", blocks)


@contextmanager
def busy_loop(opened: Kernel, kernel: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the loop's thread do one thing for as long as the context lasts."""
    busy, over = threading.Event(), threading.Event()

    def statfs() -> os.statvfs_result:
        busy.set()
        assert over.wait(PATIENCE)
        return os.statvfs("/")

    monkeypatch.setattr(opened.union, "statfs", statfs)
    asked = kernel.send(Opcode.STATFS, ROOT)
    assert busy.wait(PATIENCE)
    yield
    over.set()
    assert kernel.receive(asked).error == 0


class Held:
    """A blocking call that begins, and goes on when told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.error: OSError | None = None
        self._real = getattr(os, function)
        monkeypatch.setattr(os, function, self)

    def __call__(self, *arguments: object) -> object:
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        return self._real(*arguments)


@pytest.mark.usefixtures("cold")
def test_a_cold_read_is_answered_while_the_loop_is_busy(
    opened: Kernel, kernel: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = lookup(kernel, b"f")
    held = Held(monkeypatch, "pread")
    asked = kernel.send(Opcode.READ, number, READ)
    assert held.begun.wait(PATIENCE)
    with busy_loop(opened, kernel, monkeypatch):
        held.go_on.set()
        assert kernel.receive(asked).body == b"content"
    assert read(kernel, number) == b"content"


def test_fsync_is_answered_while_the_loop_is_busy(
    opened: Kernel, kernel: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = lookup(kernel, b"f")
    write(kernel, number, b"C")
    held = Held(monkeypatch, "fsync")
    for opcode, nodeid in ((Opcode.FSYNC, number), (Opcode.FSYNCDIR, ROOT)):
        held.begun.clear()
        held.go_on.clear()
        asked = kernel.send(opcode, nodeid, FSYNC)
        assert held.begun.wait(PATIENCE)
        with busy_loop(opened, kernel, monkeypatch):
            held.go_on.set()
            reply = kernel.receive(asked)
            assert (reply.error, reply.body) == (0, b"")


@pytest.mark.usefixtures("cold")
def test_a_failing_last_step_is_answered_once_and_with_its_errno(
    kernel: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    number = lookup(kernel, b"f")
    held = Held(monkeypatch, "pread")
    held.error = OSError(errno.EUCLEAN, "the disk is broken")
    held.go_on.set()
    assert kernel.ask(Opcode.READ, number, READ).error == errno.EUCLEAN
    assert kernel.is_silent()
    held.error = None
    assert read(kernel, number) == b"content"
    assert not caplog.records


@pytest.mark.usefixtures("cold")
def test_what_a_last_step_held_is_let_go_whether_it_failed_or_not(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_descriptors()
    with stack.opened() as opened, connected(opened.union) as kernel:
        write(kernel, lookup(kernel, b"g"), b"O")
        number = lookup(kernel, b"f")
        held = Held(monkeypatch, "pread")
        for error in (None, OSError(errno.EIO, "broken")):
            held.error = error
            held.begun.clear()
            held.go_on.clear()
            asked = kernel.send(Opcode.READ, number, READ)
            assert held.begun.wait(PATIENCE)
            kernel.send(Opcode.FORGET, number, abi.FORGET_IN.pack(1))
            assert kernel.ask(Opcode.GETATTR, number, bytes(16)).error == errno.ESTALE
            held.go_on.set()
            assert kernel.receive(asked).error == (errno.EIO if error else 0)
            number = lookup(kernel, b"f")
        assert kernel.ask(Opcode.FSYNC, lookup(kernel, b"g"), FSYNC).error == 0
    assert open_descriptors() == before


@pytest.mark.usefixtures("cold")
def test_a_session_ends_after_what_is_under_way(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_descriptors()
    held = Held(monkeypatch, "fsync")
    with stack.opened() as opened, connected(opened.union) as kernel:
        number = lookup(kernel, b"f")
        kernel.send(Opcode.WRITE, number, abi.WRITE_IN.pack(0, 0, 1, 0, 0, 0, 0) + b"C")
        assert held.begun.wait(PATIENCE)
        kernel.send(Opcode.RENAME, ROOT, abi.RENAME_IN.pack(ROOT) + b"f\0renamed\0")
        attributes(kernel, ROOT)
        timer = threading.Timer(0.05, held.go_on.set)
        timer.start()
    timer.join()
    assert open_descriptors() == before
    assert stack.staged() == []
    assert (stack.upper / "renamed").read_bytes() == b"Content"


@pytest.mark.usefixtures("cold")
@pytest.mark.parametrize("refusal", [errno.ENOENT, errno.ENODEV])
def test_an_answer_that_nobody_takes_any_more_is_dropped(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, refusal: int
) -> None:
    """ENOENT: whoever asked was interrupted; ENODEV: the mount has ended."""
    before, refused = open_descriptors(), threading.Event()
    writev = os.writev

    def refuse_once(fd: int, pieces: Sequence[bytes]) -> int:
        if refused.is_set():
            return writev(fd, pieces)
        refused.set()
        raise OSError(refusal, os.strerror(refusal))

    with stack.opened() as opened, connected(opened.union) as kernel:
        number = lookup(kernel, b"f")
        held = Held(monkeypatch, "pread")
        kernel.send(Opcode.READ, number, READ)
        assert held.begun.wait(PATIENCE)
        monkeypatch.setattr(os, "writev", refuse_once)
        held.go_on.set()
        assert refused.wait(PATIENCE)
        assert read(kernel, number) == b"content"
        assert kernel.is_silent()
    assert open_descriptors() == before
    assert not caplog.records


def test_what_is_done_beside_a_request_does_not_hold_it_up(
    opened: Kernel, kernel: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held, told = threading.Event(), threading.Event()
    results: list[object] = []

    def learn(result: object) -> None:
        results.append(result)
        if len(results) == 2:
            told.set()

    def beside(*_: object) -> Operation[bytes]:
        yield Aside(lambda: held.wait(PATIENCE) and "result", learn)
        yield Aside(lambda: 1 // 0, learn)
        yield Last(lambda: b"answered")
        return b"answered"

    number = lookup(kernel, b"f")
    with monkeypatch.context() as patch:
        patch.setattr(opened.union, "read", beside)
        assert read(kernel, number) == b"answered"
    held.set()
    assert told.wait(PATIENCE)
    assert set(results) == {"result", None}
    assert "ZeroDivisionError" in caplog.text


def test_a_fault_after_the_answer_is_logged_and_ends_nothing(
    opened: Kernel, kernel: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(_number: int, _offset: int, size: int) -> Operation[bytes]:
        yield Last(lambda: b"answered")
        if size == 4096:
            yield Last(lambda: b"again")
        raise ValueError("a fault of ours")

    number = lookup(kernel, b"f")
    with monkeypatch.context() as patch:
        patch.setattr(opened.union, "read", faulty)
        assert read(kernel, number) == b"answered"
        assert read(kernel, number, 100) == b"answered"
    assert kernel.is_silent()
    assert read(kernel, number) == b"content"
    assert "went on after its answer" in caplog.text
    assert "a fault of ours" in caplog.text
