"""Calls made in another process: by another user, under another limit, or at the same time."""

import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

NOBODY = 65534
"""A user and group without rights."""

Result = TypeVar("Result")


def in_child(function: Callable[[], Result]) -> Result:
    """Run the function in a forked child and return what it returns. Raises what it raises."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _run(function, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if not answer:
        raise ChildProcessError(f"the child ended with wait status {status:#x} and said nothing")
    failed, outcome = pickle.loads(answer)  # noqa: S301 - the child forked above wrote it
    if failed:
        raise outcome
    result: Result = outcome
    return result


def _run(function: Callable[[], object], writing: int) -> None:
    try:
        try:
            outcome = (False, function())
        except BaseException as error:  # noqa: BLE001 - the parent raises it again, whatever it is
            error.add_note(traceback.format_exc())
            outcome = (True, error)
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(outcome, pipe)
    finally:
        os._exit(0)


def as_user(
    function: Callable[[], Result], uid: int = NOBODY, gid: int = NOBODY, groups: tuple[int, ...] = ()
) -> Result:
    """Run the function in a child that is this user and has no capability."""

    def become_and_run() -> Result:
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        return function()

    return in_child(become_and_run)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Set the umask for as long as the block lasts."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def running(function: Callable[[], object]) -> Iterator[int]:
    """Run the function in a child while the block lasts; gives its pid, and kills it at the end."""
    child = os.fork()
    if child == 0:
        try:
            function()
        finally:
            os._exit(0)
    try:
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@contextmanager
def effectively_nobody() -> Iterator[None]:
    """Let this process, which is root's, do what NOBODY may, until the block ends."""
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
