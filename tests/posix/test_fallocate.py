"""Preallocation and punching: what the file system beneath does shows in the mount, and its errors too.

Source: fallocate(2). pyfuse3 has no handler for it, which is a row of ``test_holes_and_copies``.
"""

import mmap
import os
import resource
import signal
import stat
from errno import EBADF, EFBIG, EINVAL, ENOSPC, ESPIPE

from tests.posix.place import Place
from tests.posix.processes import as_user, in_child
from tests.posix.syscalls import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE, fallocate
from tests.posix.table import errno_of, row
from tests.stacks import LONG_AGO, Fifo, File

ON = ("plain", "kernel", "kernel-protocol")
PAGE, MIB = 4096, 1 << 20
PUNCH = FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE


def call(place: Place, name: str, mode: int, offset: int, length: int, flags: int = os.O_RDWR) -> None:
    descriptor = os.open(place / name, flags)
    try:
        fallocate(descriptor, mode, offset, length)
    finally:
        os.close(descriptor)


@row(bottom={"f": File(b"x" * MIB), "g": File(b"y")}, upper={"u": File(b"x" * MIB)}, on=ON)
def test_blocks_are_taken_and_given_back(place: Place) -> None:
    for name in ("f", "u"):
        call(place, name, PUNCH, 0, MIB // 2)
        found = (place / name).stat()
        assert (found.st_size, found.st_blocks * 512 <= MIB // 2 + 16 * PAGE) == (MIB, True)
    call(place, "g", FALLOC_KEEP_SIZE, 0, MIB)
    found = (place / "g").stat()
    assert (found.st_size, found.st_blocks * 512 >= MIB) == (1, True)


@row(upper={"f": File(b"x" * 4 * PAGE)}, on=ON)
def test_what_is_punched_is_zeros_for_all_who_have_the_file_open(place: Place) -> None:
    with (place / "f").open("rb") as reading, (place / "f").open("r+b") as writing:
        seen = mmap.mmap(reading.fileno(), 4 * PAGE, prot=mmap.PROT_READ)
        assert seen[:] == reading.read() == b"x" * 4 * PAGE
        fallocate(writing.fileno(), PUNCH, PAGE, PAGE)
        fallocate(writing.fileno(), FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE, 3 * PAGE - 10, 20)
        expected = b"x" * PAGE + bytes(PAGE) + b"x" * (PAGE - 10) + bytes(20) + b"x" * (PAGE - 10)
        assert os.pread(reading.fileno(), 5 * PAGE, 0) == expected
        assert seen[:] == expected
        seen.close()


@row(bottom={"f": File(b"x" * PAGE)}, on=ON)
def test_what_was_written_just_before_is_punched_or_kept(place: Place) -> None:
    with (place / "f").open("r+b", buffering=0) as file:
        file.write(b"n" * 3 * PAGE)
        fallocate(file.fileno(), PUNCH, PAGE, PAGE)
        assert os.pread(file.fileno(), 4 * PAGE, 0) == b"n" * PAGE + bytes(PAGE) + b"n" * PAGE
    assert (place / "f").read_bytes() == b"n" * PAGE + bytes(PAGE) + b"n" * PAGE


@row(bottom={"f": File(b"x"), "pipe": Fifo()}, on=ON)
def test_what_makes_no_sense_is_refused(place: Place) -> None:
    assert errno_of(call, place, "f", 0, 0, PAGE, os.O_RDONLY) == EBADF
    assert errno_of(call, place, ".", 0, 0, PAGE, os.O_RDONLY) == EBADF
    assert errno_of(call, place, "pipe", 0, 0, PAGE) == ESPIPE
    assert errno_of(call, place, "f", 0, 0, 0) == EINVAL
    assert errno_of(call, place, "f", 0, -1, PAGE) == EINVAL
    assert errno_of(call, place, "f", 0, 1 << 62, 1 << 62) == EFBIG
    if place.is_on("cached") or place.is_on("writeback"):
        assert not place.is_in_upper("f"), "what the kernel refuses copies nothing up, nor does opening there"


@row(bottom={"f": File(b"x")}, on=ON)
def test_no_file_grows_beyond_the_callers_limit(place: Place) -> None:
    def grow() -> int:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))
        return errno_of(call, place, "f", 0, 0, 2 * MIB)

    assert in_child(grow) == EFBIG
    assert (place / "f").stat().st_size == 1


@row(own=True, upper_size="4m", bottom={"f": File(b"x")}, on=ON)
def test_a_file_system_that_is_full_says_so(place: Place) -> None:
    assert errno_of(call, place, "f", 0, 0, 64 * MIB) == ENOSPC
    assert (place / "f").read_bytes() == b"x"
    call(place, "f", 0, 0, MIB)
    assert (place / "f").stat().st_size == MIB


@row(bottom={"f": File(b"x" * PAGE), "g": File(b"x" * PAGE)}, on=ON)
def test_times_change_as_with_a_write(place: Place) -> None:
    assert (place / "f").stat().st_mtime_ns == LONG_AGO
    call(place, "f", PUNCH, 0, 100)
    call(place, "g", 0, 0, 2 * PAGE)
    for name in ("f", "g"):
        found = (place / name).stat()
        assert found.st_mtime_ns > LONG_AGO
        assert found.st_mtime_ns <= found.st_ctime_ns


@row(bottom={name: File(b"x" * PAGE, mode=0o6777) for name in ("f", "g")}, on=ON)
def test_set_id_bits_go_unless_the_caller_is_privileged(place: Place) -> None:
    call(place, "f", PUNCH, 0, 100)
    as_user(lambda: call(place, "g", PUNCH, 0, 100))
    assert stat.S_IMODE((place / "f").stat().st_mode) == 0o6777
    assert stat.S_IMODE((place / "g").stat().st_mode) == 0o777
