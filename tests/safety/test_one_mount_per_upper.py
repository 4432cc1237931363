"""An upper has one mount at a time: the next waits for it to end, and says who holds it when it doesn't.

Source: overlayfs, "Sharing and copying layers": an upper or workdir in use by another mount is undefined there.
"""

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.safety.daemons import Daemon, Room, wait_for
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.open_upper import UpperError, UpperOptions, open_upper


def opened(upper: Path, work: Path, patience: float) -> None:
    options = UpperOptions(patience=patience)
    open_upper(os.fsencode(upper), os.fsencode(work), Descriptors(32), options).close()


def holder(daemon: Daemon) -> str:
    return f"in use by another mount (process {daemon.pid}); unmount that first"


@pytest.mark.parametrize("shared", ["both", "upper", "work"])
def test_whoever_holds_the_upper_or_the_workdir_is_named(room: Room, shared: str) -> None:
    other = room.directory / "other"
    for name in ("upper", "work"):
        (other / name).mkdir(parents=True)
    upper = other / "upper" if shared == "work" else room.upper
    work = other / "work" if shared == "upper" else room.work
    daemon = room.start()
    start = time.monotonic()
    with pytest.raises(UpperError) as raised:
        opened(upper, work, 0.3)
    assert time.monotonic() - start >= 0.3
    held = room.work if shared == "work" else room.upper
    assert raised.value.strerror == f"{held} is {holder(daemon)}"
    (room.mount / "new").write_bytes(b"the first goes on")
    daemon.end()
    opened(upper, work, 0.3)


def test_a_mount_waits_ten_seconds_for_another_and_takes_over_when_that_ends(room: Room) -> None:
    assert UpperOptions().patience == 10
    first = room.start()
    (room.mount / "new").write_bytes(b"from the first")
    place = room.directory / "second"
    place.mkdir()
    ending = threading.Timer(1, first.end)
    ending.start()
    start = time.monotonic()
    second = room.start(mountpoint=place)
    assert 0.5 < time.monotonic() - start < 10
    ending.join()
    assert (place / "new").read_bytes() == b"from the first"
    second.end()


def test_a_killed_holder_holds_nothing(room: Room) -> None:
    room.start().kill()
    opened(room.upper, room.work, 0)


def test_a_mount_detached_but_in_use_still_holds_its_upper(room: Room) -> None:
    daemon = room.start()
    with (room.mount / "new").open("wb") as held:
        subprocess.run(["umount", "-l", room.mount], check=True)
        with pytest.raises(UpperError, match="in use by another mount"):
            opened(room.upper, room.work, 0)
        held.write(b"still written")
    wait_for(lambda: daemon.process.poll() is not None, "the daemon to end with its last user")
    assert (room.upper / "new").read_bytes() == b"still written"
    opened(room.upper, room.work, 0)


def test_nothing_is_swept_or_changed_while_another_holds_the_upper(room: Room) -> None:
    """The other mount's staged files must not be taken for left-overs."""
    daemon = room.start()
    (room.work / "work/#staged").write_bytes(b"of the first")
    with pytest.raises(UpperError):
        opened(room.upper, room.work, 0)
    assert (room.work / "work/#staged").read_bytes() == b"of the first"
    daemon.end()


def test_a_read_only_mount_of_the_same_upper_is_possible(room: Room) -> None:
    (room.upper / "f").write_bytes(b"content")
    daemon = room.start()
    place = room.directory / "second"
    place.mkdir()
    second = room.start("ro", mountpoint=place)
    assert (place / "f").read_bytes() == b"content"
    second.end()
    daemon.end()
