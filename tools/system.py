"""The system calls that the tools need and Python lacks: namespaces, mounts; and what only /proc offers."""

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unionfs.linux.libc import LIBC, check

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
PR_SET_PDEATHSIG = 1
_CPUCLOCK_SCHED = 2
_FORGOTTEN_EVERY = 0.1  # seconds


def unshare(flags: int) -> None:
    """Give this process (or, with CLONE_NEWPID, its children) namespaces of its own. Raises OSError."""
    check(LIBC.unshare(flags))


def mount(source: str, mountpoint: str, kind: str, flags: int = 0, options: str = "") -> None:
    """Mount *source* at *mountpoint*. Raises OSError."""
    words = [os.fsencode(word) for word in (source, mountpoint, kind, options)]
    check(LIBC.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]), words[1])


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send this process *signal_number* when its parent ends. Raises OSError."""
    check(LIBC.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0))


def processor_seconds(pid: int) -> float:
    """Give the processor time, user and system, that all threads of *pid* have used; nothing if it is gone."""
    # The number of a process's clock is made as clock_getcpuclockid(3) makes it.
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError:
        return 0.0


def peak_memory(pid: int) -> int:
    """Give in KiB the most memory that *pid* ever had resident; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def processes() -> set[int]:
    """Give the numbers of all processes of this namespace, but for this one."""
    return {int(name) for name in os.listdir("/proc") if name.isdecimal()} - {os.getpid()}


def times_dropped() -> tuple[str, ...]:
    """Give what the kernel counts of dropping caches, which changes whenever any program has it done."""
    lines = Path("/proc/vmstat").read_text().splitlines()
    return tuple(line for line in lines if line.startswith("drop_"))


def drop_caches() -> None:
    """Write out what is dirty, and let the kernel forget all content, names and inodes that it can."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def forget_inodes() -> None:
    """Let the kernel forget the names and inodes that nobody uses, and keep content."""
    Path("/proc/sys/vm/drop_caches").write_text("2")


@contextmanager
def forgetting_inodes() -> Iterator[None]:
    """Make the kernel forget names and inodes every 100 ms, until the block ends."""
    ended = threading.Event()

    def forget() -> None:
        while not ended.wait(_FORGOTTEN_EVERY):
            forget_inodes()

    forgetting = threading.Thread(target=forget)
    forgetting.start()
    try:
        yield
    finally:
        ended.set()
        forgetting.join()
