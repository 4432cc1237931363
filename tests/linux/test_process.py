"""What a process gives up: tried in a child, since it can't be had again."""

import os
import subprocess
from collections.abc import Callable

import pytest

from unionfs.linux import process
from unionfs.linux.libc import LIBC
from unionfs.linux.memory import release_free_memory

PR_GET_DUMPABLE = 3


def in_a_child(act: Callable[[], bool]) -> bool:
    """Tell what *act* gave in a process of its own."""
    child = os.fork()
    if child == 0:
        status = 2
        try:
            status = 0 if act() else 1
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in {0, 1}, "the child failed"
    return status == 0


def status_line(name: str) -> str:
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(line.split()[1] for line in lines if line.startswith(name))


def test_capabilities_that_are_not_kept_are_gone() -> None:
    def act() -> bool:
        before = process.effective_capabilities()
        process.keep_capabilities(["chown", "sys_admin"])
        kept = 1 << 0 | 1 << 21
        return (
            process.effective_capabilities() == before & kept
            and int(status_line("CapPrm:"), 16) == before & kept
            and int(status_line("CapInh:"), 16) == 0
            and process.has_capability("chown") == bool(before & 1)
            and not process.has_capability("mknod")
        )

    assert in_a_child(act)


def test_a_capability_that_is_not_known_is_an_error() -> None:
    with pytest.raises(KeyError):
        process.keep_capabilities(["fly"])


def test_a_process_that_is_gone_holds_none() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert not process.has_capability("chown", child)


def test_the_capabilities_of_another_process_are_told() -> None:
    assert process.effective_capabilities(os.getpid()) == process.effective_capabilities()
    assert process.has_capability("sys_admin", 1) == bool(process.effective_capabilities(1) >> 21 & 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to begin with")
def test_what_a_process_may_in_a_namespace_within_it_may_not_here() -> None:
    with subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "sh", "-c", "echo; read _"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as within:  # fmt: skip
        assert within.stdout is not None
        within.stdout.readline()
        assert process.effective_capabilities(within.pid) >> process.CAPABILITIES["sys_admin"] & 1
        assert not process.has_capability("sys_admin", within.pid)
        within.communicate()


def test_privileges_are_given_up() -> None:
    def act() -> bool:
        process.set_no_new_privs()
        return status_line("NoNewPrivs:") == "1"

    assert in_a_child(act)


def test_dumps_are_forbidden_and_allowed() -> None:
    def act() -> bool:
        process.set_dumpable(False)
        forbidden = LIBC.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)
        process.set_dumpable(True)
        return bool(forbidden == 0 and LIBC.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1)

    assert in_a_child(act)


def test_giving_memory_back_changes_nothing_that_is_used() -> None:
    kept = [bytes(1000) for _ in range(1000)]
    release_free_memory()
    assert all(piece == bytes(1000) for piece in kept)
