"""A daemon that is killed: callers are told, the dead mount is cleared, and the next one shows what was synced.

Sources: fuse(4), ENOTCONN; overlayfs, whose workdir is emptied at mount.
"""

import contextlib
import errno
import os
import signal
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from tests.mounts import is_mounted
from tests.safety.daemons import UNIONFS, Room, wait_for
from tests.snapshots import differences, snapshot
from tests.stacks import Directory, File, HardLink, Symlink, write

LOWER = {
    "f": File(b"lower" * 1000, uid=7),
    "one": File(b"linked"),
    "two": HardLink("one"),
    "d/a": File(b"a"),
    "d/gone": File(b"gone"),
    "link": Symlink("f"),
}


def umount(path: Path) -> None:
    result = subprocess.run([UNIONFS, "umount", path], capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert not is_mounted(path)


def changed(root: Path) -> None:
    """Change something of every kind, and have the one file synced that is written."""
    with (root / "f").open("r+b") as file:
        os.write(file.fileno(), b"UPPER")
        os.fsync(file.fileno())
    (root / "two").write_bytes(b"LINKED")
    (root / "d/gone").unlink()
    (root / "d").rename(root / "moved")
    (root / "new/deep").mkdir(parents=True)
    (root / "new/deep/file").write_bytes(b"new")
    (root / "link").unlink()
    (root / "link").symlink_to("elsewhere")
    (root / "f").chmod(0o4711)


def test_after_a_kill_callers_are_told_and_the_next_mount_shows_all_that_was_done(room: Room) -> None:
    write(room.lower, LOWER)
    daemon = room.start()
    changed(room.mount)
    before = snapshot(room.mount)
    with (room.mount / "f").open("rb") as held:
        daemon.kill()
        for call in (os.listdir, os.stat, os.statvfs):
            with pytest.raises(OSError, match="Transport endpoint is not connected") as raised:
                call(room.mount)
            assert raised.value.errno == errno.ENOTCONN
        with pytest.raises(OSError, match=r"not connected|connection abort"):
            os.fstatvfs(held.fileno())
    umount(room.mount)
    assert os.listdir(room.mount) == []
    room.start().end()
    daemon = room.start()
    changes = differences(before, snapshot(room.mount))
    # To mount is to leave marks on the root of the upper.
    assert [change for change in changes if not change.startswith(".: ctime_ns")] == []
    daemon.end()


def test_a_kill_in_the_middle_of_much_work_loses_nothing_that_was_reported(room: Room) -> None:
    """What each call reported is there; the one that was under way is there whole or not at all."""
    write(room.lower, {f"f{number}": File(b"old" * 5000) for number in range(200)})
    daemon = room.start()
    done: list[int] = []

    def work() -> None:
        try:
            for number in range(200):
                (room.mount / f"f{number}").rename(room.mount / f"g{number}")
                os.truncate(room.mount / f"g{number}", 3)
                done.append(number)
        except OSError:
            return  # the daemon is gone

    worker = threading.Thread(target=work)
    worker.start()
    wait_for(lambda: len(done) > 20, "some work to be done")
    daemon.kill()
    worker.join()
    umount(room.mount)
    assert len(done) > 20
    daemon = room.start()
    names = set(os.listdir(room.mount))
    assert len(names) == 200
    for number in range(200):
        name = f"g{number}" if f"g{number}" in names else f"f{number}"
        expected = (b"old",) if number in done else (b"old", b"old" * 5000)
        assert (room.mount / name).read_bytes() in expected
        assert name.startswith("g") or number not in done
    daemon.end()


def test_left_overs_are_swept_whatever_they_are_and_what_is_not_ours_stays(room: Room) -> None:
    """Another program's files in workdir aren't ours; in ``work`` all is, but the marks and the index."""
    write(room.lower, LOWER)
    room.start().end()
    write(
        room.work / "work",
        {
            "#1/deep/er": Directory(mode=0o0),
            "#1/deep/file": File(mode=0o0),
            "#2": File(b"half"),
            "#3": Symlink("/etc/passwd"),
            "#4/upper": Symlink("../../../upper"),
            "not-even-a-number": File(),
        },
    )
    os.mkfifo(room.work / "work/#5")
    os.mknod(room.work / "work/#6", stat.S_IFCHR, os.makedev(0, 0))
    (room.work / "work" / ("n" * 255)).mkdir()
    write(room.work, {"foreign": File(b"mine"), "#7": File(b"mine"), "unionfs-index": File(b"mine")})
    write(room.upper, {"kept": File(b"kept")})
    daemon = room.start()
    assert sorted(os.listdir(room.work / "work")) == ["unionfs-index"]
    assert sorted(os.listdir(room.work)) == ["#7", "foreign", "unionfs-index", "work"]
    assert (room.work / "foreign").read_bytes() == b"mine"
    assert (room.mount / "kept").read_bytes() == b"kept"
    assert Path("/etc/passwd").stat().st_size > 0
    daemon.end()


def test_a_deep_left_over_is_swept(room: Room) -> None:
    (room.work / "work").mkdir()
    directory = os.open(room.work / "work", os.O_RDONLY)
    for _ in range(2000):
        os.mkdir("deeper", dir_fd=directory)
        deeper = os.open("deeper", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = deeper
    os.close(directory)
    daemon = room.start()
    assert os.listdir(room.work / "work") == ["unionfs-index"]
    daemon.end()


def test_what_was_unlinked_but_open_is_gone_after_a_kill(room: Room) -> None:
    write(room.lower, LOWER)
    daemon = room.start()
    held = os.open(room.mount / "new", os.O_RDWR | os.O_CREAT)
    copied = os.open(room.mount / "f", os.O_RDWR)
    try:
        os.write(held, b"unlinked")
        os.write(copied, b"X")
        (room.mount / "new").unlink()
        (room.mount / "f").unlink()
        assert os.pread(held, 100, 0) == b"unlinked"
        daemon.kill()
    finally:
        for descriptor in (held, copied):
            with contextlib.suppress(OSError):  # closing is told that the daemon is gone
                os.close(descriptor)
    umount(room.mount)
    daemon = room.start()
    assert sorted(os.listdir(room.mount)) == ["d", "link", "one", "two"]
    assert os.listdir(room.work / "work") == ["unionfs-index"]
    daemon.end()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT])
def test_however_it_dies_no_core_is_dumped_and_the_mount_can_be_cleared(room: Room, number: signal.Signals) -> None:
    daemon = room.start()
    (room.mount / "new").write_bytes(b"new")
    os.kill(daemon.pid, number)
    assert daemon.process.wait(30) == -number
    umount(room.mount)
    assert not list(room.directory.glob("**/core*"))
    daemon = room.start()
    assert (room.mount / "new").read_bytes() == b"new"
    daemon.end()
