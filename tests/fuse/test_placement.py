"""The thread that answers runs where those run who ask."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from unionfs.fuse.placement import LOOK_EVERY, Placement, processor_of

ALLOWED = sorted(os.sched_getaffinity(0))
_ASLEEP = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); print(flush=True); sys.stdin.read()"


@pytest.fixture(autouse=True)
def _place_kept() -> Iterator[None]:
    yield
    os.sched_setaffinity(0, ALLOWED)


class Asking:
    """A process on one processor."""

    def __init__(self, processor: int) -> None:
        command = [sys.executable, "-S", "-c", _ASLEEP, str(processor)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self.pid = self._process.pid

    def end(self) -> None:
        """Let it be gone."""
        self._process.communicate()


@pytest.fixture
def asking() -> Iterator[list[Asking]]:
    """Two processes: on the first processor, and on the last one, which may be the same."""
    processes = [Asking(ALLOWED[0]), Asking(ALLOWED[-1])]
    yield processes
    for process in processes:
        process.end()


def note(placement: Placement, *pids: int) -> None:
    for _ in range(LOOK_EVERY * 4):
        for pid in pids:
            placement.note(pid)


def test_the_processor_of_a_process_is_found(asking: list[Asking]) -> None:
    assert [processor_of(process.pid) for process in asking] == [ALLOWED[0], ALLOWED[-1]]


def test_a_process_that_is_gone_has_none(asking: list[Asking]) -> None:
    asking[0].end()
    assert processor_of(asking[0].pid) is None


def test_a_program_whose_name_looks_like_fields_is_read_right() -> None:
    with open("/proc/self/comm", "r+b", buffering=0) as comm:
        before = comm.read()
        comm.write(b"a) R 1 2 (3")
        try:
            assert processor_of(os.getpid()) in ALLOWED
        finally:
            comm.write(before)


def test_requests_from_one_processor_are_answered_there(asking: list[Asking]) -> None:
    placement = Placement()
    for process in asking:
        note(placement, process.pid)
        assert os.sched_getaffinity(0) == {processor_of(process.pid)}


@pytest.mark.skipif(len(ALLOWED) < 2, reason="one processor is where everybody asks")
def test_requests_from_several_processors_are_answered_anywhere(asking: list[Asking]) -> None:
    placement = Placement()
    note(placement, asking[0].pid)
    for number in range(LOOK_EVERY * 4):
        placement.note(asking[number // LOOK_EVERY % 2].pid)
    assert os.sched_getaffinity(0) == set(ALLOWED)


def test_a_request_of_nobody_known_lets_the_kernel_choose(asking: list[Asking]) -> None:
    placement = Placement()
    note(placement, asking[0].pid)
    note(placement, 0)
    assert os.sched_getaffinity(0) == set(ALLOWED)


def test_other_threads_are_let_go(asking: list[Asking]) -> None:
    placement = Placement()
    note(placement, asking[0].pid)
    found: list[set[int]] = []

    def work() -> None:
        placement.release()
        found.append(os.sched_getaffinity(0))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [set(ALLOWED)]
    assert os.sched_getaffinity(0) == {ALLOWED[0]}


def test_only_processors_are_taken_that_were_allowed(asking: list[Asking]) -> None:
    os.sched_setaffinity(0, {ALLOWED[-1]})
    placement = Placement()
    note(placement, asking[0].pid)
    assert os.sched_getaffinity(0) == {ALLOWED[-1]}
