"""Reading and writing regular files, without a mount."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stacks import File
from tests.unions import EVERYTHING, Kernel, Stack, UnderWay
from unionfs.union.step import run
from unionfs.union.union import Settings

BIG = os.urandom(300_000)
LOWER = {
    "f": File(b"low"), "big": File(BIG), "empty": File(),
    "set-id": File(b"program", mode=0o6755), "locked": File(b"x", mode=0o2644),
}  # fmt: skip


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [LOWER], EVERYTHING)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def read(kernel: Kernel, path: str, offset: int, size: int) -> bytes:
    return run(kernel.union.read(kernel.number(path), offset, size))


@pytest.mark.parametrize("copied_up", [False, True])
@pytest.mark.parametrize(
    ("offset", "size"), [(0, 10), (299_990, 100), (300_000, 5), (400_000, 5), (4096, 8192), (0, 0)]
)
def test_any_piece_is_read(stack: Stack, offset: int, size: int, *, copied_up: bool) -> None:
    with stack.opened() as kernel:
        if copied_up:
            kernel.write("big", BIG[:1])
        assert read(kernel, "big", offset, size) == BIG[offset : offset + size]


def test_what_the_page_cache_lacks_is_read_in_a_step_and_whole(stack: Stack) -> None:
    with stack.opened() as kernel:
        with (stack.lower() / "big").open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            os.pread(file.fileno(), 4096, 0)
        assert read(kernel, "big", 0, 300_000) == BIG


def test_a_read_under_way_ends_well_when_its_descriptor_is_let_go(stack: Stack) -> None:
    with stack.opened() as kernel:
        number = kernel.number("big")
        with (stack.lower() / "big").open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        reading = UnderWay(kernel.union.read(number, 0, 300_000))
        kernel.union.nodes.files.close()
        assert reading.finish() == BIG


def test_a_write_at_the_end_of_space_tells_how_much_was_written(stack: Stack) -> None:
    with stack.opened() as kernel:
        number = kernel.create("new").ino
        with largest_file(1000):
            assert run(kernel.union.write(number, 0, b"x" * 2000, keep_set_id=True)) == 1000
            with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
                run(kernel.union.write(number, 1000, b"x", keep_set_id=True))
        assert kernel.union.getattr(number).size == 1000


def test_a_copy_up_that_fails_leaves_the_file_beneath(stack: Stack) -> None:
    with stack.opened() as kernel:
        before = kernel.stat("big")
        with largest_file(1000), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            kernel.write("big", b"x", 290_000)
        assert kernel.read("big") == BIG
        assert (kernel.stat("big").ino, kernel.stat("big").mode) == (before.ino, before.mode)
        assert stack.staged() == []
        assert list(stack.upper.iterdir()) == []
        kernel.write("big", b"x", 290_000)
        assert kernel.read("big") == BIG[:290_000] + b"x" + BIG[290_001:]


def test_a_file_that_is_truncated_is_not_copied_first(stack: Stack) -> None:
    with stack.opened() as kernel, largest_file(1000):
        kernel.change("big", size=100)
        assert kernel.read("big") == BIG[:100]


@pytest.mark.parametrize("prepared", ["lower", "metacopy"])
def test_a_truncation_that_fails_changes_nothing(stack: Stack, prepared: str) -> None:
    with stack.opened() as kernel:
        if prepared == "metacopy":
            kernel.change("big", mode=0o600)
        before = kernel.stat("big")
        with largest_file(1000), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            kernel.change("big", size=200_000)
        after = kernel.stat("big")
        assert (after.size, after.mtime_ns, after.blocks) == (before.size, before.mtime_ns, before.blocks)
        assert kernel.read("big") == BIG
    with stack.opened() as kernel:
        assert kernel.read("big") == BIG
        kernel.change("big", size=200_000)
        assert kernel.read("big") == BIG[:200_000]


def test_a_longer_size_adds_zeros(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.change("f", size=5)
        assert kernel.read("f") == b"low\0\0"


@pytest.mark.parametrize("name", ["set-id", "locked"])
@pytest.mark.parametrize("keep", [False, True])
def test_a_writer_without_privilege_takes_set_id_bits_away(stack: Stack, name: str, *, keep: bool) -> None:
    with stack.opened() as kernel:
        before = kernel.stat(name).mode
        run(kernel.union.write(kernel.number(name), 0, b"P", keep_set_id=keep))
        # Without group execution, set-group-ID meant mandatory locking and stays (write(2)).
        expected = before & ~0o6000 if name == "set-id" and not keep else before
        assert kernel.stat(name).mode == expected


def test_opening_is_never_needed_but_makes_ready(stack: Stack) -> None:
    with stack.opened() as kernel:
        run(kernel.union.open(kernel.number("f"), os.O_RDONLY))
        assert list(stack.upper.iterdir()) == []
        run(kernel.union.open(kernel.number("f"), os.O_WRONLY))
        assert (stack.upper / "f").read_bytes() == b"low"


def test_more_files_are_used_than_descriptors_are_kept(tmp_path: Path) -> None:
    lower = {f"f{number}": File(b"%d" % number) for number in range(100)}
    stack = Stack(tmp_path / "stack", [lower], Settings(open_files=16, volatile=True))
    with stack.opened() as kernel:
        for name in lower:
            kernel.write(name, b"x", 5)
        assert len(kernel.union.nodes.files) == 16
        for number, name in enumerate(lower):
            assert kernel.read(name) == (b"%d" % number).ljust(5, b"\0") + b"x"
        assert len(kernel.union.nodes.files) == 16


def test_running_out_of_descriptors_closes_some_and_goes_on(tmp_path: Path) -> None:
    lower = {f"f{number}": File(b"%d" % number) for number in range(60)}
    stack = Stack(tmp_path / "stack", [lower], Settings(open_files=1000))
    with stack.opened() as kernel:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, hard))
        try:
            for number in range(60):
                assert kernel.read(f"f{number}") == b"%d" % number
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("name", ["d", "fifo"])
def test_what_is_no_regular_file_is_not_read(tmp_path: Path, name: str) -> None:
    stack = Stack(tmp_path / "stack", [{}])
    with stack.opened() as kernel:
        kernel.mkdir("d")
        kernel.create("fifo", 0o010644)
        with pytest.raises(OSError, match=os.strerror(errno.EISDIR if name == "d" else errno.ESTALE)):
            read(kernel, name, 0, 1)


def test_a_read_only_union_refuses_every_change(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [LOWER], writable=False)
    with stack.opened() as kernel:
        union, number = kernel.union, kernel.number("f")
        assert union.is_read_only
        for change in (
            lambda: kernel.write("f", b"x"),
            lambda: run(union.open(number, os.O_RDWR)),
            lambda: kernel.change("f", mode=0),
            lambda: kernel.change("f", size=0),
            lambda: kernel.create("new"),
            lambda: kernel.mkdir("new"),
            lambda: kernel.link("f", "new"),
            lambda: kernel.unlink("f"),
            lambda: kernel.rmdir("d"),
            lambda: kernel.rename("f", "new"),
            lambda: kernel.set_xattr("f", b"user.x", b""),
            lambda: run(union.removexattr(number, b"user.x")),
        ):
            with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
                change()
        run(union.fsync(number, content_only=False))
        run(union.fsyncdir(1))
        assert kernel.read("f") == b"low"


def test_statfs_gives_the_uppers_numbers(stack: Stack) -> None:
    with stack.opened() as kernel:
        assert kernel.union.statfs().f_blocks == os.statvfs(stack.upper).f_blocks
