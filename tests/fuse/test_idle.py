"""A mount that nobody asks anything sleeps: no thread of its daemon runs, not even for a moment."""

import os
import time
from pathlib import Path

import pytest

from tests.filesystems import TRANSPORTS, FileSystem, mounted
from tests.stacks import File

PATIENCE = 10.0


def switches(process: int) -> dict[str, str]:
    """Give, for each thread, how often it gave the processor away or lost it: one that sleeps on does neither."""
    return {
        thread.name: "".join(line for line in (thread / "status").read_text().splitlines() if "ctxt_switches" in line)
        for thread in Path(f"/proc/{process}/task").iterdir()
    }


@pytest.mark.parametrize("filesystem", TRANSPORTS, ids=lambda system: system.name)
def test_an_idle_mount_wakes_up_for_nothing(filesystem: FileSystem) -> None:
    with mounted(filesystem, [{"d/f": File(b"content")}], {}) as stack:
        for round_ in range(500):
            os.statvfs(stack.root)
            (stack.root / f"new{round_ % 7}").write_bytes(b"")
        process, deadline = stack.daemon.pid, time.monotonic() + PATIENCE
        before: dict[str, str] = {}
        # What the last request began comes to its end, and the kernel may forget inodes meanwhile.
        while before != (before := switches(process)):
            assert time.monotonic() < deadline
            time.sleep(0.5)
