"""The daemon behind a mount: how it ends, and what a kill leaves. A plain directory and overlayfs have none.

Source: fuse(4): a dead daemon's mount answers ENOTCONN.
"""

import os
import signal
import time
from errno import ENOTCONN

from tests.mounts import is_mounted
from tests.posix.place import Place
from tests.posix.table import OURS, errno_of, row
from tests.stacks import File

MIB = 1 << 20


@row(own=True, bottom={"f": File(b"x")}, on=OURS)
def test_a_terminated_daemon_unmounts(place: Place) -> None:
    (place / "f").write_bytes(b"written")
    os.kill(place.stack.daemon.pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while is_mounted(place.stack.root):
        assert time.monotonic() < deadline, "the mount is still there"
        time.sleep(0.01)
    place.stack.unmount()
    assert os.listdir(place.path) == []
    assert (place.upper / "f").read_bytes() == b"written"


@row(own=True, bottom={"f": File(b"x"), "g": File(b"g")}, on=OURS)
def test_after_a_kill_callers_are_told_and_what_was_synced_is_there(place: Place) -> None:
    with (place / "f").open("r+b") as file:
        file.write(b"synced")
        os.fsync(file.fileno())
    (place / "g").rename(place / "h")
    place.stack.daemon.kill()
    place.stack.daemon.wait()
    assert errno_of(os.listdir, place.path) == ENOTCONN
    place.stack.kill()
    place.stack.mount()
    assert (place / "f").read_bytes() == b"synced"
    assert place.names() == ["f", "h"]


@row(own=True, bottom={f"f{number}": File(b"a" * 8 * MIB) for number in range(3)}, on=OURS)
def test_a_copy_up_killed_half_way_leaves_the_file_whole(place: Place) -> None:
    """Small here; killing after every system call is a test of the union itself."""
    for number, delay in enumerate((0.001, 0.004, 0.01)):
        path = place / f"f{number}"
        child = os.fork()
        if child == 0:
            try:
                descriptor = os.open(path, os.O_WRONLY)
                os.pwrite(descriptor, b"b", 0)
            finally:
                os._exit(0)
        time.sleep(delay)
        place.stack.kill()
        os.waitpid(child, 0)
        place.stack.mount()
        assert path.read_bytes()[1:] == b"a" * (8 * MIB - 1)
        assert place.names() == ["f0", "f1", "f2"]
        assert place.stack.work is not None
        left = [files for _, _, files in os.walk(place.stack.work / "work")]
        assert not any(left), left
