"""What every transport answers alike."""

import errno
import logging
import os

import pytest

from unionfs.fuse import policy


@pytest.mark.parametrize(("uid", "keeps"), [(0, True), (1, False), (65534, False)])
def test_only_root_keeps_set_id_bits_when_it_writes(uid: int, *, keeps: bool) -> None:
    assert policy.keeps_set_id(uid) == keeps


def test_the_capability_decides_where_the_caller_is_told_by_its_number() -> None:
    assert policy.holds_fsetid(os.getpid()) == (os.geteuid() == 0)
    assert not policy.holds_fsetid(0)


def test_trusted_attributes_are_shown_to_whom_the_kernel_would_show_them() -> None:
    assert policy.may_see_trusted(os.getpid()) == (os.geteuid() == 0)
    assert not policy.may_see_trusted(0)


def test_a_process_that_is_gone_sees_no_trusted_attributes() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert not policy.may_see_trusted(child)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOSPC, errno.EIO, errno.ESTALE])
def test_an_error_of_the_system_keeps_its_number(number: int, caplog: pytest.LogCaptureFixture) -> None:
    assert policy.errno_of(OSError(number, os.strerror(number))) == number
    assert caplog.text == ""


def test_memory_that_has_run_out_is_said_so(caplog: pytest.LogCaptureFixture) -> None:
    assert policy.errno_of(MemoryError()) == errno.ENOMEM
    assert caplog.text == ""


@pytest.mark.parametrize("error", [KeyError("x"), AssertionError(), ValueError("y"), OSError("a sentence alone")])
def test_a_fault_of_ours_is_an_input_output_error_and_logged_with_its_place(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        assert policy.errno_of(error) == errno.EIO
    assert caplog.records[0].exc_info is not None
    assert caplog.records[0].exc_info[1] is error


def test_what_found_no_room_is_worth_another_try() -> None:
    assert policy.may_find_room(OSError(errno.ENOSPC, ""))
    assert policy.may_find_room(OSError(errno.EDQUOT, ""))
    assert not policy.may_find_room(OSError(errno.EIO, ""))
    assert not policy.may_find_room(ValueError())
