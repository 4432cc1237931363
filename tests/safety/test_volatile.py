"""The mark of a volatile mount: who may use its upper again, and when.

Source: overlayfs, "Volatile mount": "work/incompat/volatile" forbids a later mount, since the upper may be torn.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.mounts import unmount_or_detach
from tests.safety.daemons import Room
from tests.stacks import File, write
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.open_upper import UpperOptions, open_upper


def _mark(room: Room) -> Path:
    return room.work / "work/incompat/volatile"


def test_the_mark_is_there_while_the_mount_lasts_and_gone_after_a_clean_end(room: Room) -> None:
    daemon = room.start("volatile")
    assert _mark(room).is_dir()
    (room.mount / "new").write_bytes(b"new")
    daemon.end()
    assert not _mark(room).parent.exists()
    assert (room.upper / "new").read_bytes() == b"new"
    room.start().end()


def test_an_unmount_while_closes_are_still_being_told_is_a_clean_end(room: Room) -> None:
    """The kernel may tell the daemon ECONNABORTED then, where it says ENODEV otherwise."""
    write(room.lower, {f"f{number}": File() for number in range(400)})
    for _ in range(5):
        daemon = room.start("volatile")
        for descriptor in [os.open(room.mount / f"f{number}", os.O_RDONLY) for number in range(400)]:
            os.close(descriptor)
        assert "Traceback" not in daemon.end()
        assert not _mark(room).exists()


def test_after_a_kill_the_upper_is_refused_by_name(room: Room) -> None:
    room.start("volatile").kill()
    unmount_or_detach(room.mount)
    for options in ((), ("volatile",)):
        said = room.refused(*options)
        assert said.count("\n") == 1
        assert "mounted volatile and not unmounted cleanly" in said
        assert "work/incompat/volatile" in said
    _mark(room).rmdir()
    room.start().end()


def test_a_caller_may_take_a_volatile_upper_over(room: Room) -> None:
    """As one does that discards the upper anyway when the machine has crashed."""
    room.start("volatile").kill()
    unmount_or_detach(room.mount)
    options = UpperOptions(take_over_volatile=True)
    opened = open_upper(os.fsencode(room.upper), os.fsencode(room.work), Descriptors(32), options)
    opened.close()
    assert not _mark(room).exists()


def test_an_upper_whose_last_sync_failed_stays_marked(room: Room) -> None:
    daemon = room.start("volatile", within=("strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=syncfs:error=EIO"))
    unmount_or_detach(room.mount)
    assert daemon.process.wait(30) == 1
    assert daemon.said == "unionfs: error: Input/output error\n"
    assert _mark(room).is_dir()
    assert "not unmounted cleanly" in room.refused()


@pytest.mark.parametrize(("name", "shown"), [("unheard-of", "unheard-of"), ("new\x1b[2Jline\n", r"new\x1b[2Jline\x0a")])
def test_a_mark_that_is_not_known_is_refused_by_name(room: Room, name: str, shown: str) -> None:
    (room.work / "work/incompat" / name).mkdir(parents=True)
    said = room.refused()
    assert said.count("\n") == 1
    assert f"incompat/{shown}\n" in said
    assert (room.work / "work/incompat" / name).is_dir()


def test_a_mark_beside_the_volatile_one_is_refused_too(room: Room) -> None:
    for name in ("volatile", "other"):
        (room.work / "work/incompat" / name).mkdir(parents=True)
    options = UpperOptions(take_over_volatile=True)
    with pytest.raises(OSError, match="incompat/other"):
        open_upper(os.fsencode(room.upper), os.fsencode(room.work), Descriptors(32), options)
    assert (room.work / "work/incompat/other").is_dir()


def test_overlayfs_refuses_a_volatile_upper_of_ours(room: Room) -> None:
    room.start("volatile").kill()
    unmount_or_detach(room.mount)
    command = ["mount", "-t", "overlay", "overlay", "-o", room.layers, str(room.mount)]
    result = subprocess.run(command, capture_output=True, check=False)
    try:
        assert result.returncode != 0
    finally:
        unmount_or_detach(room.mount)
