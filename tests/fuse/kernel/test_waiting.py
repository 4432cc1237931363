"""How the loop waits for a request: polling for a moment where that pays, and never where it would be in the way."""

import errno
import os
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stacks import File
from tests.unions import EVERYTHING, Stack
from unionfs.fuse.data_path import DataPath
from unionfs.fuse.kernel.abi import Opcode
from unionfs.fuse.kernel.codec import Request
from unionfs.fuse.kernel.session import Session
from unionfs.fuse.wakefulness import Wakefulness

PATIENCE = 10.0


class Polls:
    """Stands between the loop and poll(2): notes how long each call may wait."""

    def __init__(self, session: Session) -> None:
        self._real = session._poll
        self.waits: list[float | None] = []
        session._poll = self  # type: ignore[assignment] # it does what the loop uses

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        self.waits.append(timeout)
        return self._real.poll(timeout)


class Loop(Session):
    """A session that nobody runs, and the other end of its connection."""

    def __init__(self, directory: Path) -> None:
        self.stack = Stack(directory / "stack", [{"f": File()}], EVERYTHING).opened()
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        super().__init__(self.stack.__enter__().union, self.theirs.fileno(), lambda: None, DataPath())
        self.polls = Polls(self)

    def ask_after(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self.ours.send, [b"request"])
        timer.start()
        return timer

    def wait(self) -> list[float | None]:
        """Wait once, and give the waits of the calls that this took."""
        self.polls.waits.clear()
        self._wait()
        return self.polls.waits

    def close(self) -> None:
        self._workers.close()
        self.stack.__exit__(None, None, None)
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path)
    yield made
    made.close()


def test_the_loop_is_awake_for_a_moment_and_then_asleep(loop: Loop) -> None:
    timer = loop.ask_after(0.05)
    waits = loop.wait()
    assert waits[-1] is None
    assert set(waits[:-1]) == {0}
    timer.join()


def test_a_request_that_is_there_is_taken_without_sleeping(loop: Loop) -> None:
    loop.ours.send(b"request")
    assert loop.wait() == [0]


def test_who_was_awake_for_nothing_sleeps_at_once(loop: Loop) -> None:
    loop.ours.send(b"request")
    for _ in range(10):
        loop._wakefulness.note(1.0, slept=True)
    assert loop.wait() == [None]


def test_where_those_who_ask_share_the_processor_the_loop_sleeps_at_once(loop: Loop) -> None:
    loop.ours.send(b"request")
    loop._placement._placed = 0
    for _ in range(50):
        assert loop.wait() == [None]
    # It was no experience of being awake.
    loop._placement._placed = None
    assert loop.wait() == [0]


def test_while_workers_work_the_loop_sleeps_at_once(loop: Loop) -> None:
    held = threading.Event()
    loop._workers.run(lambda: held.wait(PATIENCE), lambda _: None)
    loop.ours.send(b"request")
    assert loop.wait() == [None]
    held.set()


def test_an_answer_of_a_worker_ends_the_wait(loop: Loop) -> None:
    done: list[object] = []
    loop._workers.run(lambda: "result", done.append)
    while not done:
        loop.wait()
        loop._workers.collect()
    assert select.select([loop.theirs], [], [], 0)[0] == []
    assert Wakefulness().seconds == loop._wakefulness.seconds


def test_only_those_who_share_the_processor_are_given_way(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    policies: list[int] = []
    monkeypatch.setattr(loop.device, "answer", lambda *_: policies.append(os.sched_getscheduler(0)))
    monkeypatch.setattr(loop.device, "fail", lambda *_: policies.append(os.sched_getscheduler(0)))
    request = Request(Opcode.GETATTR, 1, 1, 0, 0, 0, memoryview(b""))
    forget = request._replace(opcode=Opcode.FORGET)
    for processor in (None, 0):
        loop._placement._placed = processor
        loop._answer(request, b"")
        loop._fail(request, OSError(errno.ENODATA, "no such attribute"))
        loop._answer(forget, b"")
    assert policies == [os.SCHED_OTHER] * 2 + [os.SCHED_IDLE] * 2
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
