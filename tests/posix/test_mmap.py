"""Files mapped into memory.

Source: POSIX mmap(): a shared map and the file are one.
"""

import ctypes
import mmap
import os
import signal

from tests.posix.place import Place
from tests.posix.table import row
from tests.stacks import File

PAGE = mmap.PAGESIZE


@row(bottom={"f": File(b"0123456789")}, upper={"u": File(b"0123456789")})
def test_what_a_shared_map_writes_is_read(place: Place) -> None:
    for name in ("f", "u"):
        with (place / name).open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            mapped[2:5] = b"map"
            assert os.pread(file.fileno(), 10, 0) == b"01map56789"
            mapped.flush()
        assert (place / name).read_bytes() == b"01map56789"


@row(own=True, bottom={"f": File(b"0" * 3 * PAGE)})
def test_what_a_shared_map_wrote_is_on_disk_when_mounted_anew(place: Place) -> None:
    with (place / "f").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[PAGE : PAGE + 4] = b"one!"
        mapped.flush()
        mapped[2 * PAGE : 2 * PAGE + 4] = b"two!"
    place.remount()
    content = (place / "f").read_bytes()
    assert (content[PAGE : PAGE + 4], content[2 * PAGE : 2 * PAGE + 4]) == (b"one!", b"two!")
    assert len(content) == 3 * PAGE


@row(bottom={"f": File(b"0" * 3 * PAGE)})
def test_a_shared_map_sees_what_is_written(place: Place) -> None:
    with (place / "f").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        assert mapped[:4] == b"0000"
        os.pwrite(file.fileno(), b"new!", 0)
        assert mapped[:4] == b"new!"
        os.ftruncate(file.fileno(), PAGE)
        os.ftruncate(file.fileno(), 3 * PAGE)
        assert mapped[PAGE : PAGE + 4] == b"\0\0\0\0"


@row(bottom={"f": File(b"0" * 3 * PAGE)})
def test_reading_a_map_past_the_end_of_the_file_is_a_bus_error(place: Place) -> None:
    child = os.fork()
    if child == 0:
        try:
            _read_past_the_end(place)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGBUS


def _read_past_the_end(place: Place) -> None:
    signal.signal(signal.SIGBUS, signal.SIG_DFL)
    with (place / "f").open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
        os.ftruncate(file.fileno(), PAGE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        ctypes.string_at(address + 2 * PAGE, 1)


@row(
    bottom={"f": File(b"text")},
    expected={"ours": (b"textbeyond", b"text\0\0\0\0\0\0"), "default": (b"text\0\0\0\0\0\0",)},
    because="where it extends a file, the kernel's FUSE keeps what a map put past the old end",
)
def test_the_rest_of_the_last_page_is_zeros_and_not_part_of_the_file(place: Place) -> None:
    with (place / "f").open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
        address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        page = ctypes.string_at(address, PAGE)
        ctypes.memmove(address + 4, b"beyond", 6)
        os.ftruncate(file.fileno(), 10)
        content = os.pread(file.fileno(), 20, 0)
    assert page == b"text" + bytes(PAGE - 4)
    assert isinstance(place.expected, tuple)
    assert content in place.expected


@row(bottom={"f": File(b"0123456789")})
def test_a_read_only_map_of_a_lower_file_copies_nothing_up(place: Place) -> None:
    with (place / "f").open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:] == b"0123456789"
    if not place.is_on("plain"):
        assert not place.is_in_upper("f")
