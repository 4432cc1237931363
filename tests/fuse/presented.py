"""A real mount whose options are given as values, by one of the transports, served by a process of its own."""

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.mounts import is_mounted, unmount_or_detach
from tests.unions import Stack
from unionfs.fuse import Transport
from unionfs.mount.options import MountOptions

PATIENCE = 20.0
_PROGRAM = """
import pickle, sys
from unionfs.fuse import DataPath, Transport
from unionfs.mount.session import ProcessOptions, run
from unionfs.mount.stack import UnionStack

mountpoint, options, transport = pickle.load(sys.stdin.buffer)
run(mountpoint, options, ProcessOptions(foreground=True), lambda given: UnionStack(given, transport, DataPath()))
"""


@contextmanager
def presented(stack: Stack, mountpoint: Path, transport: str, **options: Any) -> Iterator[Path]:
    """Mount *stack* over the *transport* of that name, with further fields of ``MountOptions``, and take it away."""
    mountpoint.mkdir()
    asked = MountOptions(
        lowers=tuple(os.fsencode(stack.lower(place)) for place in range(len(stack.lowers))),
        upper=os.fsencode(stack.upper),
        work=os.fsencode(stack.work),
        **options,
    )
    words = pickle.dumps((os.fsencode(mountpoint), asked, Transport(transport)))
    log = mountpoint.with_name(f"{mountpoint.name}.log")
    with log.open("wb") as output:
        daemon = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=output, stderr=output)
    assert daemon.stdin is not None
    with daemon.stdin:
        daemon.stdin.write(words)
    try:
        deadline = time.monotonic() + PATIENCE
        while not is_mounted(mountpoint):
            assert daemon.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        yield mountpoint
    finally:
        unmount_or_detach(mountpoint)
        try:
            status = daemon.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
            raise
    assert (status, "Traceback" in log.read_text()) == (0, False), log.read_text()
