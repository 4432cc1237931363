"""The transport on pyfuse3: its guard, how it drives operations, how it waits. Whole mounts are tested elsewhere."""

import errno
import os
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pyfuse3
import pytest
import trio
import trio.testing

from tests.stacks import File
from tests.unions import EVERYTHING, Stack
from unionfs.fuse.driving import drive
from unionfs.fuse.giving_way import GivingWay
from unionfs.fuse.placement import Placement
from unionfs.fuse.presentation import Presentation
from unionfs.fuse.pyfuse3_transport import Operations
from unionfs.fuse.spinning import ReadLock, SpinningTrio
from unionfs.fuse.wakefulness import AWAKE
from unionfs.union.step import Aside, Gate

NO_CONTEXT = cast(pyfuse3.RequestContext, None)
ROOT = 1


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [{"f": File(b"content", mode=0o640)}], EVERYTHING)


def test_answers_are_the_unions(stack: Stack) -> None:
    async def ask(operations: Operations) -> None:
        found = await operations.lookup(ROOT, b"f", NO_CONTEXT)
        assert (found.st_size, found.st_mode) == (7, 0o100640)
        assert found.entry_timeout > 86400 * 365
        absent = await operations.lookup(ROOT, b"absent", NO_CONTEXT)
        assert (absent.st_ino, absent.entry_timeout) == (0, found.entry_timeout)
        handle = found.st_ino
        assert await operations.read(handle, 3, 100) == b"tent"
        assert await operations.write(handle, 0, b"C") == 1
        assert await operations.read(handle, 0, 100) == b"Content"
        await operations.forget([(found.st_ino, 1), (4711, 1)])
        with pytest.raises(pyfuse3.FUSEError) as failure:
            await operations.getattr(found.st_ino, NO_CONTEXT)
        assert failure.value.errno == errno.ESTALE

    with stack.opened() as kernel:
        trio.run(ask, Operations(kernel.union, lambda: None))


def test_names_and_attributes_hold_as_long_as_is_asked_for(stack: Stack) -> None:
    async def ask(operations: Operations) -> None:
        found = await operations.lookup(ROOT, b"f", NO_CONTEXT)
        assert (found.entry_timeout, found.attr_timeout) == (1.5, 1.5)
        assert (await operations.lookup(ROOT, b"absent", NO_CONTEXT)).entry_timeout == 1.5

    with stack.opened() as kernel:
        trio.run(ask, Operations(kernel.union, lambda: None, Presentation(timeout=1.5)))


def test_a_fault_of_ours_is_an_errno_and_never_the_end(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask(operations: Operations) -> None:
        with pytest.raises(pyfuse3.FUSEError) as failure:
            await operations.statfs(NO_CONTEXT)
        assert failure.value.errno == errno.EIO

    with stack.opened() as kernel:
        monkeypatch.setattr(kernel.union, "statfs", lambda: 1 // 0)
        trio.run(ask, Operations(kernel.union, lambda: None))
    assert "ZeroDivisionError" in caplog.text


def test_a_fault_in_forgetting_is_logged_and_the_others_are_forgotten(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    forgotten: list[int] = []

    def forget(inode: int, _lookups: int) -> None:
        if inode == 5:
            raise OSError(errno.EIO, "out of reach")
        forgotten.append(inode)

    with stack.opened() as kernel:
        monkeypatch.setattr(kernel.union, "forget", forget)
        operations = Operations(kernel.union, lambda: None)
        trio.run(operations.forget, [(4, 1), (5, 1), (6, 1)])
    assert forgotten == [4, 6]
    assert "inode 5" in caplog.text


def test_steps_run_in_workers_and_gates_are_waited_for() -> None:
    gate = Gate()
    order: list[str] = []

    def waiting() -> Generator[Any, Any, str]:
        order.append("before")
        yield gate
        order.append("after")
        thread = yield threading.current_thread
        assert thread is not threading.main_thread()
        return "done"

    async def opening() -> None:
        await trio.sleep(0.01)
        order.append("opened")
        gate.open()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(opening)
            assert await drive(waiting()) == "done"

    trio.run(main)
    assert order == ["before", "opened", "after"]


def test_a_step_that_fails_is_the_operations_affair() -> None:
    def fail() -> None:
        raise OSError(errno.ENOSPC, "full")

    def recovering() -> Generator[Any, Any, str]:
        try:
            yield fail
        except OSError as error:
            return os.strerror(error.errno or 0)
        return "no failure"

    def passing_on() -> Generator[Any, Any, str]:
        yield fail
        return "no failure"

    async def main() -> None:
        assert await drive(recovering()) == os.strerror(errno.ENOSPC)
        with pytest.raises(OSError, match="full"):
            await drive(passing_on())

    trio.run(main)


def test_what_is_done_beside_an_operation_does_not_hold_it_up(caplog: pytest.LogCaptureFixture) -> None:
    held, told = threading.Event(), trio.Event()
    results: list[object] = []

    def learn(result: object) -> None:
        results.append(result)
        if len(results) == 2:
            told.set()

    def beside() -> Generator[Any, Any, str]:
        yield Aside(lambda: held.wait(10) and "result", learn)
        yield Aside(lambda: 1 // 0, learn)
        return "done"

    async def main() -> None:
        assert await drive(beside()) == "done"
        held.set()
        with trio.fail_after(10):
            await told.wait()

    trio.run(main)
    assert set(results) == {"result", None}
    assert "ZeroDivisionError" in caplog.text


def spinning_trio() -> SpinningTrio:
    return SpinningTrio(Placement(), GivingWay())


def test_a_request_that_is_there_is_taken_without_sleeping() -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        spinning = spinning_trio()
        try:
            os.write(writing, b"x")
            await spinning.lowlevel.wait_readable(reading)
            os.read(reading, 1)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(spinning.wait_readable, reading)
                await trio.sleep(10 * AWAKE)
                os.write(writing, b"x")
        finally:
            os.close(reading)
            os.close(writing)

    trio.run(main)


def test_waiting_for_long_costs_no_time_of_the_processor() -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        try:
            before = time.process_time()
            with trio.move_on_after(0.3):
                await spinning_trio().wait_readable(reading)
            assert time.process_time() - before < 0.1
        finally:
            os.close(reading)
            os.close(writing)

    trio.run(main)


def test_what_pyfuse3_uses_of_trio_besides_is_trios_own() -> None:
    spinning = spinning_trio()
    assert spinning.open_nursery is trio.open_nursery
    assert spinning.Lock is ReadLock
    assert spinning.Event is trio.Event
    with pytest.raises(AttributeError):
        _ = spinning.nothing_of_the_kind


def test_who_has_read_goes_on_reading_before_who_waits() -> None:
    order: list[str] = []

    async def read(name: str, lock: ReadLock, times: int) -> None:
        for _ in range(times):
            async with lock:
                order.append(name)

    async def main() -> None:
        lock = ReadLock()
        async with trio.open_nursery() as nursery:
            await lock.__aenter__()
            nursery.start_soon(read, "first", lock, 3)
            nursery.start_soon(read, "second", lock, 2)
            await trio.testing.wait_all_tasks_blocked()
            await lock.__aexit__()

    trio.run(main)
    assert sorted(order) == ["first"] * 3 + ["second"] * 2
    assert order in (["first"] * 3 + ["second"] * 2, ["second"] * 2 + ["first"] * 3)


def test_a_reader_that_waits_for_something_else_lets_another_read() -> None:
    order: list[str] = []

    async def main() -> None:
        lock, done = ReadLock(), trio.Event()

        async def first() -> None:
            async with lock:
                order.append("first")
            await done.wait()
            async with lock:
                order.append("first again")

        async def second() -> None:
            async with lock:
                order.append("second")
            done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(first)
            nursery.start_soon(second)

    trio.run(main)
    assert order[-1] == "first again"
    assert sorted(order[:2]) == ["first", "second"]


def test_other_tasks_run_while_requests_keep_coming() -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        spinning, ran = spinning_trio(), trio.Event()
        os.write(writing, b"x")

        async def other() -> None:
            ran.set()

        try:
            async with trio.open_nursery() as nursery:
                await spinning.wait_readable(reading)
                nursery.start_soon(other)
                until = time.monotonic() + 5
                while not ran.is_set():
                    await spinning.wait_readable(reading)
                    assert time.monotonic() < until
        finally:
            os.close(reading)
            os.close(writing)

    trio.run(main)


def test_who_shares_the_processor_is_given_way_from_the_answer_to_the_next_wait(stack: Stack) -> None:
    async def ask(operations: Operations) -> None:
        policies: list[int] = []
        spinning = SpinningTrio(operations.placement, operations.giving_way)
        reading, writing = os.pipe()
        os.write(writing, b"x")
        for processor in (None, 0):
            operations.placement._placed = processor
            await operations.getattr(ROOT, NO_CONTEXT)
            policies.append(os.sched_getscheduler(0))
            with pytest.raises(pyfuse3.FUSEError):
                await operations.getxattr(ROOT, b"user.absent", NO_CONTEXT)
            policies.append(os.sched_getscheduler(0))
            await spinning.wait_readable(reading)
            policies.append(os.sched_getscheduler(0))
        os.close(reading)
        os.close(writing)
        assert policies == [os.SCHED_OTHER] * 3 + [os.SCHED_IDLE] * 2 + [os.SCHED_OTHER]

    with stack.opened() as kernel:
        trio.run(ask, Operations(kernel.union, lambda: None))


def test_what_another_task_gave_way_for_ends_when_a_request_comes() -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        giving_way = GivingWay()
        spinning = SpinningTrio(Placement(), giving_way)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(spinning.wait_readable, reading)
                await trio.testing.wait_all_tasks_blocked()
                giving_way.begin()
                os.write(writing, b"x")
            assert os.sched_getscheduler(0) == os.SCHED_OTHER
        finally:
            os.close(reading)
            os.close(writing)

    trio.run(main)
