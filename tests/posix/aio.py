"""Linux asynchronous I/O, one request at a time, by the system calls themselves."""

import ctypes
import os
import platform

# The numbers of io_setup, io_destroy, io_submit and io_getevents.
_NUMBERS = {"x86_64": (206, 207, 209, 208), "aarch64": (0, 1, 2, 4)}
PREAD, PWRITE, FSYNC = 0, 1, 2
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long


class _Request(ctypes.Structure):
    """struct iocb."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("key", ctypes.c_uint32),
        ("flags", ctypes.c_int32),
        ("opcode", ctypes.c_uint16),
        ("priority", ctypes.c_int16),
        ("descriptor", ctypes.c_uint32),
        ("buffer", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("offset", ctypes.c_int64),
        ("reserved", ctypes.c_uint64),
        ("more_flags", ctypes.c_uint32),
        ("event_descriptor", ctypes.c_uint32),
    )


class _Event(ctypes.Structure):
    """struct io_event."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("request", ctypes.c_uint64),
        ("result", ctypes.c_int64),
        ("result2", ctypes.c_int64),
    )


def run(opcode: int, descriptor: int, buffer: bytearray, offset: int) -> int:
    """Submit one request and wait for it; return its result. Raises OSError."""
    setup, destroy, submit, get_events = _NUMBERS[platform.machine()]
    context = ctypes.c_ulong(0)
    _call(setup, 1, ctypes.byref(context))
    try:
        memory = (ctypes.c_char * len(buffer)).from_buffer(buffer)
        request = _Request(opcode=opcode, descriptor=descriptor, offset=offset)
        request.buffer, request.size = ctypes.addressof(memory), len(buffer)
        if opcode == FSYNC:
            request.buffer = request.size = 0
        requests = (ctypes.c_void_p * 1)(ctypes.addressof(request))
        _call(submit, context, 1, requests)
        event = _Event()
        _call(get_events, context, 1, 1, ctypes.byref(event), None)
        return int(event.result)
    finally:
        _call(destroy, context)


def _call(number: int, *arguments: object) -> int:
    result = int(_LIBC.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        failed = ctypes.get_errno()
        raise OSError(failed, os.strerror(failed))
    return result
