"""Files that the kernel reads and writes in their layer by itself, and mounts that can't have it so."""

import errno
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
from tests.fuse.kernel.asking import ROOT, attributes, entry, lookup, read, setattr_body, write
from tests.fuse.kernel.connection import Connection, connected
from tests.stacks import EMPTY, File, Layer
from tests.unions import EVERYTHING, Stack
from unionfs.fuse import policy
from unionfs.fuse.data_path import DataPath
from unionfs.fuse.kernel import abi, passthrough
from unionfs.fuse.kernel.abi import Init, Opcode, SetAttr
from unionfs.fuse.kernel.device import Device

KERNEL = tuple(int(part) for part in os.uname().release.split(".")[:2])
needs_passthrough = pytest.mark.skipif(
    os.geteuid() != 0 or KERNEL < (6, 9), reason="only root's files are passed through, by Linux 6.9"
)
PASSING = Union("passthrough", "kernel", ("--io", "passthrough"))
LOWER: Layer = {"low": File(b"lower"), "other": File(b"other")}
ALL = (1 << 64) - 1
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


# Without a kernel: the device is a socket, and takes files only where a test lets it.


def open_file(kernel: Connection, number: int, flags: int = os.O_RDONLY) -> tuple[int, int, int]:
    """Give the handle, the flags and the number of the file to pass through to."""
    reply = kernel.ask(Opcode.OPEN, number, abi.OPEN_IN.pack(flags, 0))
    assert reply.error == 0
    handle, answered, backing = abi.OPEN_OUT.unpack(reply.body)
    return handle, answered, backing


def release(kernel: Connection, number: int, handle: int) -> None:
    assert kernel.ask(Opcode.RELEASE, number, abi.RELEASE_IN.pack(handle, 0, 0, 0)).error == 0


class Files:
    """The files that the device was told of, and what it says to the next."""

    def __init__(self) -> None:
        self.known: list[int] = []
        self.error = 0
        self.asked_again: list[int] = []

    def open(self, _fd: int) -> int:
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        self.known.append(max(self.known, default=0) + 1)
        return self.known[-1]

    def close(self, number: int) -> None:
        self.known.remove(number)

    def forget(self, number: int) -> None:
        self.asked_again.append(number)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Files:
    files = Files()
    monkeypatch.setattr(Device, "open_backing", files.open)
    monkeypatch.setattr(Device, "close_backing", files.close)
    monkeypatch.setattr(Device, "forget_attributes", files.forget)
    monkeypatch.setattr(passthrough, "is_initial_user_namespace", lambda: True)
    monkeypatch.setattr(passthrough, "has_capability", lambda _name: True)
    return files


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Connection]:
    stack = Stack(tmp_path / "stack", [LOWER], EVERYTHING)
    (stack.upper / "up").write_bytes(b"upper")
    with stack.opened() as union, connected(union.union, data_path=DataPath(passthrough=True)) as connection:
        connection.initialise(ALL)
        yield connection


CACHED = (0, abi.OPEN_KEEP_CACHE, 0)


def test_a_mount_that_passes_through_is_stacked_as_little_as_possible(tmp_path: Path, files: Files) -> None:
    del files
    stack = Stack(tmp_path / "stack", [LOWER], EVERYTHING)
    for offered, depth in ((ALL, 1), (ALL & ~Init.PASSTHROUGH, 0)):
        with stack.opened() as union, connected(union.union, data_path=DataPath(passthrough=True)) as kernel:
            assert abi.INIT_OUT.unpack(kernel.initialise(offered).body)[11] == depth


def test_all_who_have_a_file_open_share_it_until_the_last_closes_it(kernel: Connection, files: Files) -> None:
    number = lookup(kernel, b"up")
    assert open_file(kernel, number) == (0, abi.OPEN_PASSTHROUGH, 1)
    assert open_file(kernel, number, os.O_RDWR) == (1, abi.OPEN_PASSTHROUGH, 1)
    release(kernel, number, 0)
    assert files.known == [1]
    release(kernel, number, 1)
    assert files.known == []


def test_a_file_is_cached_until_the_last_who_opened_it_so_closes_it(kernel: Connection, files: Files) -> None:
    number = lookup(kernel, b"low")
    assert open_file(kernel, number) == CACHED
    write(kernel, number, b"UPPER")
    assert open_file(kernel, number) == CACHED
    release(kernel, number, 0)
    assert open_file(kernel, number) == CACHED
    release(kernel, number, 0)
    release(kernel, number, 0)
    assert open_file(kernel, number) == (0, abi.OPEN_PASSTHROUGH, 1)
    assert files.known == [1]


def test_a_new_file_is_passed_through_at_once(kernel: Connection, files: Files) -> None:
    for opcode in (Opcode.CREATE, Opcode.TMPFILE):
        reply = kernel.ask(opcode, ROOT, abi.CREATE_IN.pack(os.O_RDWR, 0o100600, 0, 0) + b"new\0")
        made = entry(reply.body)
        opened = abi.OPEN_OUT.unpack_from(reply.body, abi.ENTRY_OUT.size)
        assert opened == (1, abi.OPEN_PASSTHROUGH, 1)
        assert (made[2] > 0, made[3]) == (True, 0), "its attributes change without the daemon"
        release(kernel, made[0], 1)
        assert files.known == []


def test_attributes_are_kept_but_while_a_file_is_written_to_by_others(kernel: Connection, files: Files) -> None:
    number = lookup(kernel, b"up")

    def valid() -> set[bool]:
        found = [abi.ATTR_OUT.unpack(kernel.ask(Opcode.GETATTR, number, bytes(16)).body)[0]]
        found.append(entry(kernel.ask(Opcode.LOOKUP, ROOT, b"up\0").body)[3])
        found.append(abi.STATX_OUT.unpack(kernel.ask(Opcode.STATX, number, bytes(24)).body)[0])
        body = kernel.ask(Opcode.SETATTR, number, setattr_body(SetAttr.MODE, mode=0o100640)).body
        return {valid > 0 for valid in (*found, abi.ATTR_OUT.unpack(body)[0])}

    open_file(kernel, number)
    assert (valid(), files.asked_again) == ({True}, [])
    open_file(kernel, number, os.O_WRONLY)
    open_file(kernel, number, os.O_RDWR)
    assert (valid(), files.asked_again) == ({False}, [number])
    release(kernel, number, 1)
    assert (valid(), files.asked_again) == ({False}, [number])
    release(kernel, number, 1)
    assert (valid(), files.asked_again) == ({True}, [number])


@pytest.mark.parametrize(("uid_holds", "mode"), [(True, 0o6755), (False, 0o755)])
def test_set_id_bits_go_when_the_kernel_asks_for_nothing_else(
    kernel: Connection, files: Files, monkeypatch: pytest.MonkeyPatch, mode: int, *, uid_holds: bool
) -> None:
    """So it does before it writes by itself what somebody without CAP_FSETID writes."""
    del files
    monkeypatch.setattr(policy, "holds_fsetid", lambda _pid: uid_holds)
    number = lookup(kernel, b"up")
    kernel.ask(Opcode.SETATTR, number, setattr_body(SetAttr.MODE, mode=0o106755))
    open_file(kernel, number, os.O_WRONLY)
    reply = kernel.ask(Opcode.SETATTR, number, setattr_body(0))
    assert abi.ATTR_OUT.unpack(reply.body)[12] & 0o7777 == mode
    release(kernel, number, 1)
    assert attributes(kernel, number)["mode"] & 0o7777 == mode


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC])
def test_at_a_limit_that_one_open_is_cached(
    kernel: Connection, files: Files, caplog: pytest.LogCaptureFixture, error: int
) -> None:
    number = lookup(kernel, b"up")
    files.error = error
    assert open_file(kernel, number) == CACHED
    files.error = 0
    assert open_file(kernel, number) == CACHED
    release(kernel, number, 0)
    release(kernel, number, 0)
    assert open_file(kernel, number) == (0, abi.OPEN_PASSTHROUGH, 1)
    assert CACHED_LINE not in caplog.text


def test_a_kernel_that_refuses_is_asked_once_and_asks_no_more(
    kernel: Connection, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    up, low = lookup(kernel, b"up"), lookup(kernel, b"low")
    open_file(kernel, up)
    files.error = errno.ELOOP
    write(kernel, low, b"UPPER")
    assert open_file(kernel, low) == CACHED
    assert open_file(kernel, lookup(kernel, b"other")) == CACHED
    assert open_file(kernel, up) == (0, abi.OPEN_PASSTHROUGH, 1), "who has it open goes on so"
    release(kernel, up, 0)
    release(kernel, up, 0)
    assert kernel.ask(Opcode.OPEN, up, abi.OPEN_IN.pack(0, 0)).error == errno.ENOSYS
    release(kernel, low, 0)
    assert caplog.text.count(CACHED_LINE + os.strerror(errno.ELOOP)) == 1
    assert files.known == []


@pytest.mark.parametrize(
    ("data_path", "writable", "passes"),
    [
        (DataPath(), True, True),
        (DataPath(), False, False),
        (DataPath(passthrough=True), False, True),
        (DataPath(passthrough=False), True, False),
        (DataPath(writeback=True), True, False),
    ],
)
def test_by_default_mounts_that_take_changes_pass_through(data_path: DataPath, *, writable: bool, passes: bool) -> None:
    assert data_path.settled(read_only=not writable).passthrough == passes


@pytest.mark.parametrize(
    ("data_path", "offered", "privileged", "reason"),
    [
        (DataPath(passthrough=True), ALL & ~Init.PASSTHROUGH, True, "the kernel doesn't offer it"),
        (DataPath(passthrough=True), ALL, False, "it needs CAP_SYS_ADMIN"),
        (DataPath(passthrough=True, writeback=True), ALL, True, "not together with the writeback cache"),
        (DataPath(), ALL, False, None),
    ],
)
def test_what_stands_in_the_way_is_told_in_one_line(
    tmp_path: Path, files: Files, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    data_path: DataPath, offered: int, reason: str | None, *, privileged: bool,
) -> None:  # fmt: skip
    del files
    monkeypatch.setattr(passthrough, "has_capability", lambda _name: privileged)
    stack = Stack(tmp_path / "stack", [LOWER], EVERYTHING)
    with stack.opened() as union, connected(union.union, data_path=data_path) as kernel:
        kernel.initialise(offered)
        number = lookup(kernel, b"low")
        assert kernel.ask(Opcode.OPEN, number, abi.OPEN_IN.pack(0, 0)).error == errno.ENOSYS
        assert read(kernel, number) == b"lower"
    lines = [record.getMessage() for record in caplog.records]
    assert [line.startswith(CACHED_LINE + str(reason)) for line in lines] == ([] if reason is None else [True])


def test_another_transport_says_that_it_passes_nothing_through(caplog: pytest.LogCaptureFixture) -> None:
    DataPath(passthrough=True).log_what_needs_the_protocol()
    assert [record.getMessage() for record in caplog.records] == [CACHED_LINE + "it needs the kernel transport"]
