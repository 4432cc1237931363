"""What the daemon of a real mount holds, thread by thread, read from outside.

Sources: capabilities(7), prctl(2).
"""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.posix.processes import as_user
from tests.safety.daemons import Daemon, Room, fuse_for_every_user
from unionfs.linux.process import CAPABILITIES

NOBODY = 65534
KEPT = {"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "mknod", "setfcap", "sys_admin", "sys_nice"}
SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")


def threads(daemon: Daemon) -> list[Mapping[str, str]]:
    """Give the status of each thread, of which there are some once something had to be read from a disk."""
    status = Path(f"/proc/{daemon.pid}/task").glob("*/status")
    return [dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line) for path in status]


def names(bits: str) -> set[str]:
    held = int(bits, 16)
    known = {name for name, bit in CAPABILITIES.items() if held >> bit & 1}
    assert len(known) == held.bit_count(), f"{bits} holds more than {sorted(known)}"
    return known


def busy(room: Room) -> None:
    """Have the daemon start a worker."""
    with (room.mount / "f").open("r+b") as file:
        os.write(file.fileno(), b"new")
        os.fsync(file.fileno())


@pytest.fixture
def lower(room: Room) -> Path:
    (room.lower / "f").write_bytes(b"low")
    return room.lower


@pytest.mark.usefixtures("lower")
def test_a_daemon_of_root_keeps_what_it_uses(room: Room) -> None:
    daemon = room.start()
    busy(room)
    found = threads(daemon)
    assert len(found) > 1
    for status in found:
        assert names(status["CapEff"]) == names(status["CapPrm"]) == KEPT
        assert names(status["CapInh"]) == names(status["CapAmb"]) == set()
        assert status["NoNewPrivs"] == "1"
        assert status["Umask"] == "0000"
    daemon.end()


@pytest.mark.usefixtures("lower")
def test_a_daemon_cannot_be_dumped_or_looked_into(room: Room) -> None:
    daemon = room.start()
    owner = os.stat(f"/proc/{daemon.pid}/environ")
    assert (owner.st_uid, owner.st_gid) == (0, 0)
    daemon.end()


@pytest.mark.usefixtures("lower")
def test_a_daemon_of_a_user_holds_nothing_and_is_roots_to_look_into(room: Room) -> None:
    room.give_to(NOBODY)
    with fuse_for_every_user():
        daemon = room.start(uid=NOBODY)
    # It answers once it has given up what it gives up; until then fusermount3 may still run.
    assert as_user(lambda: os.listdir(room.mount)) == ["f"]
    for status in threads(daemon):
        assert all(names(status[name]) == set() for name in SETS)
        assert status["Uid"].split() == [str(NOBODY)] * 4
        assert status["NoNewPrivs"] == "0", "fusermount3 has to be set-id to end the mount"
        assert status["Umask"] == "0000"
    assert os.stat(f"/proc/{daemon.pid}/environ").st_uid == 0
    daemon.end()
