"""A fault of the program itself costs one request: EIO for its caller, a traceback in the log; the mount goes on."""

import errno
import os
import threading

import pytest

from tests.safety.daemons import Room
from tests.stacks import File, Symlink, write

BREAK = """
from unionfs.union.union import Union
from unionfs.union.content import Content

def broken(number, *rest, **more):
    raise AssertionError(f"broken on purpose: {rest!r}")

def broken_step(self, node, *, content_only):
    yield lambda: 1 // 0

for name in ("readlink", "rmdir", "statfs", "listxattr", "fsyncdir"):
    setattr(Union, name, broken)
Union.forget = lambda self, number, lookups: 1 // 0
Content.sync = broken_step
"""


@pytest.fixture
def broken(room: Room) -> Room:
    write(room.lower, {"f": File(b"content"), "link": Symlink("f"), "d/x": File()})
    (room.upper / "empty").mkdir()
    return room


def test_each_request_that_fails_unexpectedly_is_answered_with_eio_and_logged(broken: Room) -> None:
    daemon = broken.start(program=BREAK)
    root = broken.mount
    directory = os.open(root / "d", os.O_RDONLY)
    file = os.open(root / "f", os.O_RDWR)
    os.write(file, b"CONTENT")
    calls = (
        lambda: os.readlink(root / "link"), lambda: os.rmdir(root / "empty"), lambda: os.statvfs(root),
        lambda: os.listxattr(root / "f"), lambda: os.fsync(directory), lambda: os.fsync(file),
    )  # fmt: skip
    try:
        for call in calls:
            for _ in range(2):
                with pytest.raises(OSError, match="Input/output error") as raised:
                    call()
                assert raised.value.errno == errno.EIO
            assert (root / "f").read_bytes() == b"CONTENT"
    finally:
        os.close(directory)
        os.close(file)
    assert daemon.process.poll() is None
    said = daemon.end()
    assert said.count("Traceback (most recent call last)") >= 2 * len(calls)
    assert "broken on purpose" in said
    assert "ZeroDivisionError" in said


def test_others_are_answered_meanwhile(broken: Room) -> None:
    daemon = broken.start(program=BREAK)
    failures: list[int] = []

    def fail() -> None:
        for _ in range(50):
            try:
                os.readlink(broken.mount / "link")
            except OSError as error:
                failures.append(error.errno or 0)

    threads = [threading.Thread(target=fail) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(50):
        (broken.mount / f"new{number}").write_bytes(b"%d" % number)
        assert (broken.mount / f"new{number}").read_bytes() == b"%d" % number
    for thread in threads:
        thread.join()
    assert failures == [errno.EIO] * 200
    daemon.end()
