"""Work in processes of its own: results, errors and progress come back, and no process stays."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from unionfs.store import StoreError
from unionfs.store.side_by_side import ProcessEndedError, Tell, side_by_side


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    descriptors = os.listdir("/proc/self/fd")
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)


def unheard(*_: int) -> None:
    """For work of which nobody wants to know how far it is."""


def raising(error: Exception, _tell: Tell) -> None:
    raise error


def sleeping(_tell: Tell) -> None:
    time.sleep(60)


def test_results_come_back_by_number() -> None:
    def work(number: int, _tell: Tell) -> tuple[int, int]:
        return number, os.getpid()

    results = side_by_side({number: partial(work, number) for number in (3, 1, 2)}, 2, unheard)
    assert {number: result[0] for number, result in results.items()} == {1: 1, 2: 2, 3: 3}
    assert len({os.getpid(), *(pid for _, pid in results.values())}) == 4


def test_no_work_gives_no_results() -> None:
    assert side_by_side({}, 2, unheard) == {}


def test_result_larger_than_a_pipe_comes_back() -> None:
    assert side_by_side({0: lambda _: bytes(5 << 20)}, 1, unheard) == {0: bytes(5 << 20)}


def test_as_many_run_as_are_asked_for_and_no_more(tmp_path: Path) -> None:
    def meet(number: int, _tell: Tell) -> int:
        (tmp_path / str(number)).touch()
        end = time.monotonic() + 10
        while len(list(tmp_path.iterdir())) < 2:
            assert time.monotonic() < end, "the other one was not begun"
            time.sleep(0.005)
        time.sleep(0.05)
        most = len(list(tmp_path.iterdir()))
        (tmp_path / str(number)).unlink()
        return most

    # The third is begun when the first or second has ended, and meets the other or the fourth.
    assert set(side_by_side({number: partial(meet, number) for number in range(4)}, 2, unheard).values()) <= {1, 2}


def test_what_is_told_comes_in_order_and_before_the_result() -> None:
    told: list[tuple[int, int, int]] = []

    def work(tell: Tell) -> int:
        for done in range(1000):
            tell(done, 1000)
        return len(told)

    assert side_by_side({7: work}, 1, lambda *what: told.append(what)) == {7: 0}
    assert told == [(7, done, 1000) for done in range(1000)]


def test_error_comes_back_as_it_was_raised_and_says_where() -> None:
    with pytest.raises(StoreError, match=r"^too large$") as caught:
        side_by_side({0: partial(raising, StoreError("too large", "bytes"))}, 1, unheard)
    assert caught.value.limit == "bytes"
    assert "in raising" in str(caught.value.__cause__)
    with pytest.raises(OSError, match="No space left") as full:
        side_by_side({0: partial(raising, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "f"))}, 1, unheard)
    assert (full.value.errno, full.value.filename) == (errno.ENOSPC, "f")


def test_first_error_ends_the_others_at_once() -> None:
    start = time.monotonic()
    work: dict[int, Callable[[Tell], None]] = {0: sleeping, 1: partial(raising, StoreError("no")), 2: sleeping}
    with pytest.raises(StoreError):
        side_by_side(work, 2, unheard)
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("end", "how"),
    [
        (lambda _: os.kill(os.getpid(), signal.SIGKILL), "its process was ended by SIGKILL"),
        (lambda _: os.kill(os.getpid(), signal.SIGTERM), "its process was ended by SIGTERM"),
        (lambda _: os._exit(3), "its process ended with 3"),
    ],
)
def test_process_that_ends_without_a_result_is_an_error(end: Callable[[Tell], None], how: str) -> None:
    with pytest.raises(ProcessEndedError) as caught:
        side_by_side({5: end}, 1, unheard)
    assert (caught.value.number, str(caught.value)) == (5, how)


def test_error_of_who_is_told_ends_the_work() -> None:
    def work(tell: Tell) -> None:
        tell(1, 2)
        time.sleep(60)

    def told(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        side_by_side({0: work}, 1, told)


PROGRAM = """
import os, sys, time
from unionfs.store.side_by_side import side_by_side
def work(tell):
    tell(os.getpid(), 0)
    time.sleep(60)
side_by_side({0: work, 1: work}, 2, lambda _, pid, __: print(pid, flush=True))
"""


@pytest.fixture
def program() -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until_gone(pids: list[int]) -> None:
    end = time.monotonic() + 10
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_killed_with_its_parent(program: "subprocess.Popen[str]") -> None:
    assert program.stdout
    pids = [int(program.stdout.readline()) for _ in range(2)]
    program.kill()
    wait_until_gone(pids)


@pytest.mark.parametrize("send", [os.killpg, os.kill], ids=["terminal", "parent alone"])
def test_interrupted_ends_all_with_one_traceback(
    program: "subprocess.Popen[str]", send: Callable[[int, int], None]
) -> None:
    assert program.stdout
    pids = [int(program.stdout.readline()) for _ in range(2)]
    send(program.pid, signal.SIGINT)
    _, errors = program.communicate(timeout=20)
    assert program.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1
    wait_until_gone(pids)
