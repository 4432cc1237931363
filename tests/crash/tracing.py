"""A child process that stops after each of its system calls, so that it can be killed right there (ptrace(2))."""

import ctypes
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from typing import Self

_TRACEME, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
_SYSCALL_STOP = signal.SIGTRAP | 0x80
_TRACESYSGOOD, _EXITKILL = 1, 0x100000
_ENTRY, _EXIT = 1, 2
_ptrace = ctypes.CDLL(None, use_errno=True).ptrace
_ptrace.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_ptrace.restype = ctypes.c_long


class _SyscallInfo(ctypes.Structure):
    """The head of ``struct ptrace_syscall_info``; ``number`` is valid where a call is entered."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("arch", ctypes.c_uint32),
        ("instruction_pointer", ctypes.c_uint64),
        ("stack_pointer", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
    )


def _call(request: int, pid: int, address: int | None = None, value: object = None) -> None:
    if _ptrace(request, pid, address, value) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace: {os.strerror(number)}")


class Traced:
    """A child that runs ``prepare()`` freely, and what that returns call by call. It is dead after the block."""

    def __init__(self, prepare: Callable[[], Callable[[], None]]) -> None:
        self._pid = os.fork()
        if self._pid == 0:
            _run(prepare)

    def __enter__(self) -> Self:
        _, status = os.waitpid(self._pid, 0)
        if not os.WIFSTOPPED(status):
            self._pid = 0
            raise AssertionError(f"the child failed to prepare: wait status {status:#x}, see its output")
        _call(_SETOPTIONS, self._pid, None, _TRACESYSGOOD | _EXITKILL)
        return self

    def returns(self) -> Iterator[int]:
        """Give the number of each system call when it has just returned; the child waits until the next is asked for.

        Raises AssertionError when the child ends with an error.
        """
        info, number, passed_on = _SyscallInfo(), 0, 0
        while True:
            _call(_SYSCALL, self._pid, None, passed_on)
            _, status = os.waitpid(self._pid, 0)
            if not os.WIFSTOPPED(status):
                self._pid = 0
                assert status == 0, f"the child failed: wait status {status:#x}, see its output"
                return
            stopped_by = os.WSTOPSIG(status)
            passed_on = 0 if stopped_by == _SYSCALL_STOP else stopped_by
            if passed_on:
                continue
            _call(_GET_SYSCALL_INFO, self._pid, ctypes.sizeof(info), ctypes.byref(info))
            if info.op == _ENTRY:
                number = info.number
            elif info.op == _EXIT:
                yield number

    def __exit__(self, *_: object) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)


def _run(prepare: Callable[[], Callable[[], None]]) -> None:
    code = 1
    try:
        act = prepare()
        _call(_TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        act()
        code = 0
    except BaseException:  # noqa: BLE001 - the child of a fork must never go on as the test run
        traceback.print_exc()
    finally:
        os._exit(code)
