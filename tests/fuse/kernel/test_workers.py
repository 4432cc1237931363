"""Threads that run blocking steps: results come back on the loop's thread, whatever becomes of the threads."""

import select
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from unionfs.fuse.kernel.workers import MOST_WORKERS, Done, Workers

PATIENCE = 10.0


@pytest.fixture
def workers() -> Iterator[Workers]:
    pool = Workers()
    yield pool
    pool.close()


def wait(workers: Workers, until: Callable[[], bool]) -> None:
    """Collect as the loop does, until what is expected has come."""
    poll = select.poll()
    poll.register(workers.fd, select.POLLIN)
    deadline = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < deadline
        poll.poll(100)
        workers.collect()


def test_a_result_comes_back_on_the_thread_that_collects(workers: Workers) -> None:
    found: list[tuple[Done, threading.Thread, threading.Thread]] = []
    workers.run(threading.current_thread, lambda done: found.append((done, done.result, threading.current_thread())))
    assert not workers.is_idle
    wait(workers, lambda: bool(found))
    done, ran, collected = found[0]
    assert done.error is None
    assert ran is not collected is threading.current_thread()
    assert workers.is_idle


def test_an_exception_comes_back_as_one(workers: Workers) -> None:
    found: list[Done] = []

    def fail() -> None:
        raise OSError(28, "no space")

    workers.run(fail, found.append)
    wait(workers, lambda: bool(found))
    assert isinstance(found[0].error, OSError)
    assert found[0].result is None


def test_steps_run_beside_each_other_in_a_bounded_number_of_threads(workers: Workers) -> None:
    found: list[Done] = []
    held = threading.Event()
    started = threading.Semaphore(0)

    def step() -> None:
        started.release()
        held.wait(PATIENCE)

    for _ in range(3 * MOST_WORKERS):
        workers.run(step, found.append)
    for _ in range(MOST_WORKERS):
        assert started.acquire(timeout=PATIENCE)
    assert not started.acquire(blocking=False)
    held.set()
    wait(workers, lambda: len(found) == 3 * MOST_WORKERS)
    assert workers.is_idle


def test_a_step_may_be_started_by_a_result(workers: Workers) -> None:
    found: list[int] = []

    def again(done: Done) -> None:
        found.append(done.result)
        if done.result < 5:
            workers.run(lambda: done.result + 1, again)

    workers.run(lambda: 0, again)
    wait(workers, lambda: len(found) == 6)
    assert found == [0, 1, 2, 3, 4, 5]


def test_nothing_to_collect_is_no_error(workers: Workers) -> None:
    workers.collect()
    assert workers.is_idle


@pytest.mark.parametrize("possible", [0, 1])
def test_work_goes_on_where_no_further_thread_can_be_started(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, possible: int
) -> None:
    start = threading.Thread.start
    left = [possible]

    def limited(thread: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    found: list[Done] = []
    for number in range(10):
        workers.run(lambda number=number: number, found.append)  # type: ignore[misc] # a default binds the loop's value
    wait(workers, lambda: len(found) == 10)
    assert sorted(done.result for done in found) == list(range(10))


def test_dismissed_threads_end_and_the_next_step_has_a_new_one(workers: Workers) -> None:
    found: list[Done] = []
    threads = set()
    for number in range(1, 4):
        for _ in range(4):
            workers.run(threading.current_thread, found.append)
        wait(workers, lambda number=number: len(found) == 4 * number)  # type: ignore[misc] # likewise
        threads |= {done.result for done in found}
        workers.dismiss()
        assert not any(thread.is_alive() for thread in threads)
    workers.dismiss()
    assert len(threads) >= 3


def test_closing_waits_for_what_is_under_way() -> None:
    pool = Workers()
    finished = threading.Event()

    def step() -> None:
        time.sleep(0.05)
        finished.set()

    pool.run(step, lambda _: None)
    pool.close()
    assert finished.is_set()
