"""Files that the kernel reads and writes in their layer by itself, and mounts that can't have it so."""

import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.filesystems import FileSystem, KernelOverlay, Mounted, Union, mounted, scratch
from tests.stacks import EMPTY, File, Layer

KERNEL = tuple(int(part) for part in os.uname().release.split(".")[:2])
needs_passthrough = pytest.mark.skipif(
    os.geteuid() != 0 or KERNEL < (6, 9), reason="only root's files are passed through, by Linux 6.9"
)
PASSING = Union("passthrough", "kernel", ("--io", "passthrough"))
LOWER: Layer = {"low": File(b"lower"), "other": File(b"other")}
PATIENCE = 20.0
PROGRAMS = Path(sys.executable).parent
CACHED_LINE = "content isn't passed through, but cached: "


@contextmanager
def daemon_held(stack: Mounted) -> Iterator[Callable[..., object]]:
    """Stop the daemon, and give a way to call what must not wait for it."""
    with ThreadPoolExecutor(1) as thread:
        os.kill(stack.daemon.pid, signal.SIGSTOP)
        try:
            yield lambda call, *arguments: thread.submit(call, *arguments).result(PATIENCE)
        finally:
            os.kill(stack.daemon.pid, signal.SIGCONT)


@contextmanager
def opened(path: Path, flags: int, mode: int = 0o644) -> Iterator[int]:
    descriptor = os.open(path, flags, mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def evict() -> None:
    """Have nothing of any file in memory that can be had from elsewhere."""
    Path("/proc/sys/vm/drop_caches").write_text("1", encoding="ascii")


@needs_passthrough
@pytest.mark.parametrize("name", ["up", "new"])
def test_content_of_the_upper_passes_by_the_daemon(name: str) -> None:
    with mounted(PASSING, [LOWER], {"up": File(b"upper")}) as stack:
        with opened(stack.root / name, os.O_RDWR | os.O_CREAT) as file:
            # Before the first write the kernel asks whether the file has capabilities.
            os.write(file, b"first")
            with daemon_held(stack) as go_on:
                assert go_on(os.pwrite, file, b"written", 0) == 7
                assert go_on(os.pread, file, 100, 0) == b"written"
            assert os.fstat(file).st_size == 7
        assert stack.upper is not None
        assert (stack.upper / name).read_bytes() == b"written"


@needs_passthrough
def test_content_of_a_read_only_mount_passes_by_the_daemon() -> None:
    with mounted(PASSING, [LOWER], None) as stack, opened(stack.root / "low", os.O_RDONLY) as file:
        evict()
        with daemon_held(stack) as go_on:
            assert go_on(os.pread, file, 100, 0) == b"lower"


@needs_passthrough
def test_a_metacopy_of_a_read_only_mount_passes_what_is_beneath() -> None:
    with mounted(PASSING, [LOWER], EMPTY, options=("redirect_dir=on", "metacopy=on")) as stack:
        (stack.root / "low").chmod(0o600)
        (stack.root / "low").rename(stack.root / "moved")
        stack.unmount()
        stack.options += ("ro",)
        stack.mount()
        with opened(stack.root / "moved", os.O_RDONLY) as file:
            evict()
            with daemon_held(stack) as go_on:
                assert go_on(os.pread, file, 100, 0) == b"lower"


@needs_passthrough
def test_a_lower_file_passes_once_it_is_copied_up_and_was_closed() -> None:
    with mounted(PASSING, [LOWER], EMPTY) as stack:
        with opened(stack.root / "low", os.O_RDONLY) as before, mmap.mmap(before, 5, prot=mmap.PROT_READ) as view:
            with opened(stack.root / "low", os.O_WRONLY) as writer:
                os.write(writer, b"UP")
            assert os.pread(before, 100, 0) == b"UPwer"
            assert view[:] == b"UPwer"
            with opened(stack.root / "low", os.O_RDWR) as another:
                os.pwrite(another, b"again", 0)
            assert view[:] == b"again"
        # The daemon is told of a close, but not waited for; of what is asked after that it answers this later.
        os.statvfs(stack.root)
        with opened(stack.root / "low", os.O_RDWR) as file, daemon_held(stack) as go_on:
            assert go_on(os.pwrite, file, b"by itself", 0) == 9


@needs_passthrough
def test_a_lower_file_passes_from_its_first_opening_for_writing() -> None:
    """As on overlayfs that copies it up, so that it is the open that fails where there is no room for it."""
    with mounted(PASSING, [LOWER], EMPTY) as stack, opened(stack.root / "low", os.O_RDWR) as file:
        assert stack.upper is not None
        assert (stack.upper / "low").read_bytes() == b"lower"
        # Before the first write the kernel asks whether the file has capabilities.
        os.write(file, b"L")
        with daemon_held(stack) as go_on:
            assert go_on(os.pwrite, file, b"LOWER", 0) == 5
            assert go_on(os.pread, file, 100, 0) == b"LOWER"


@needs_passthrough
def test_a_file_is_truncated_by_opening_it_as_often_as_it_is_opened_so() -> None:
    with mounted(PASSING, [LOWER], {"up": File(b"upper")}) as stack:
        assert stack.upper is not None
        for name in ("low", "up", "low", "up"):
            with opened(stack.root / name, os.O_WRONLY | os.O_TRUNC) as file:
                assert os.fstat(file).st_size == (stack.upper / name).stat().st_size == 0
                os.write(file, b"more")
            assert (stack.root / name).read_bytes() == (stack.upper / name).read_bytes() == b"more"


@needs_passthrough
def test_a_file_stays_cached_while_who_opened_it_so_has_it_open() -> None:
    with mounted(PASSING, [LOWER], EMPTY) as stack, opened(stack.root / "low", os.O_RDONLY) as first:
        (stack.root / "low").write_bytes(b"new")
        for _ in range(3):
            with opened(stack.root / "low", os.O_RDWR) as next_:
                os.write(next_, b"NEW")
                assert os.pread(first, 100, 0) == b"NEW"


@needs_passthrough
def test_a_change_through_a_map_shows_in_the_times() -> None:
    with mounted(PASSING, [LOWER], {"up": File(b"x" * 4096, mtime_ns=10**18)}) as stack:
        path = stack.root / "up"
        assert path.stat().st_mtime_ns == 10**18
        with opened(path, os.O_RDWR) as file, mmap.mmap(file, 4096) as view:
            assert path.stat().st_mtime_ns == 10**18
            view[0] = 1
            assert path.stat().st_mtime_ns > 10**18
        last = path.stat().st_mtime_ns
        assert stack.upper is not None
        assert last == (stack.upper / "up").stat().st_mtime_ns


def said(stack: Mounted) -> list[str]:
    """Give what the daemon has logged of passing through."""
    log = (stack.directory / f"{stack.root.name}.log").read_text()
    return [line.partition(CACHED_LINE)[2] for line in log.splitlines() if CACHED_LINE in line]


def check_works_cached(stack: Mounted) -> None:
    (stack.root / "low").write_bytes(b"new")
    assert (stack.root / "low").read_bytes() == b"new"
    assert (stack.root / "other").read_bytes() == b"other"


@needs_passthrough
@pytest.mark.parametrize("below", [KernelOverlay(), PASSING], ids=lambda system: system.name)
def test_layers_that_are_stacked_themselves_are_cached(below: FileSystem) -> None:
    with scratch() as directory, mounted(below, [LOWER], None if below is PASSING else EMPTY) as beneath:
        (directory / "mount").mkdir()
        stack = Mounted(
            filesystem=PASSING, directory=directory, root=directory / "mount", lowers=(beneath.root,),
            upper=directory / "upper", work=directory / "work",
        )  # fmt: skip
        for path in (directory / "upper", directory / "work"):
            path.mkdir()
        stack.mount()
        try:
            check_works_cached(stack)
            assert said(stack) == ["a layer lies on a stacked file system itself"]
        finally:
            stack.unmount()


@needs_passthrough
def test_overlayfs_lies_above_a_mount_that_passes_through() -> None:
    with mounted(PASSING, [LOWER], EMPTY) as beneath, scratch() as directory:
        for name in ("mount", "upper", "work"):
            (directory / name).mkdir()
        stack = Mounted(
            filesystem=KernelOverlay(), directory=directory, root=directory / "mount", lowers=(beneath.root,),
            upper=directory / "upper", work=directory / "work", options=("index=off",),
        )  # fmt: skip
        stack.mount()
        try:
            check_works_cached(stack)
        finally:
            stack.unmount()


@needs_passthrough
def test_gathering_writes_goes_before_passing_through() -> None:
    both = replace(PASSING, arguments=("--io", "passthrough", "--writeback", "on"))
    with mounted(both, [LOWER], EMPTY) as stack:
        check_works_cached(stack)
        assert said(stack) == ["not together with the writeback cache"]


@needs_passthrough
def test_without_the_capability_content_is_cached() -> None:
    """As root of a user namespace, whose CAP_SYS_ADMIN doesn't reach far enough."""
    with scratch() as directory:
        for name in ("l", "u", "w", "m"):
            (directory / name).mkdir()
        (directory / "l/low").write_bytes(b"lower")
        script = (
            f"unionfs mount --transport kernel --io passthrough --log {directory}/log "
            f"--lower {directory}/l --upper {directory}/u --work {directory}/w {directory}/m "
            f"&& cat {directory}/m/low && unionfs umount {directory}/m"
        )
        found = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
            check=False, capture_output=True, env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
        )  # fmt: skip
        assert found.stdout == b"lower", found.stderr
        assert (directory / "log").read_text().count(CACHED_LINE + "it needs CAP_SYS_ADMIN outside of any") == 1
