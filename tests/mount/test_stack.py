"""Mounting real layers by the program: what the options open, and what becomes of an upper."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mounts import MNT_DETACH, is_mounted, unmount
from unionfs.mount.options import MountOptions, RedirectDir
from unionfs.mount.stack import settle

UNIONFS = Path(sys.executable).with_name("unionfs")


@pytest.fixture
def room(mountpoint: Path) -> Iterator[Path]:
    """Give a working directory with two layers, an upper, a workdir and the mountpoint ``merged``."""
    room = mountpoint.parent
    for name in ("top", "base", "upper", "work"):
        (room / name).mkdir()
    (room / "top/file").write_text("top")
    (room / "base/file").write_text("base")
    (room / "base/below").write_text("below")
    before = daemons(room)
    yield room
    while is_mounted(mountpoint):
        unmount(mountpoint, MNT_DETACH)
    wait_for(lambda: daemons(room) <= before)


def daemons(room: Path) -> set[int]:
    """Give the processes that were told of *room*."""
    found = set()
    for line in subprocess.run(
        ["pgrep", "-f", f"unionfs mount.*{room}"], capture_output=True, check=False
    ).stdout.split():
        found.add(int(line))
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def mounted(room: Path, options: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``unionfs mount`` in *room*, with relative paths."""
    command: list[str | Path] = [UNIONFS, "mount", "--log", room / "log", *words, "-o", options, "merged"]
    return subprocess.run(command, cwd=room, capture_output=True, text=True, check=False, timeout=60)


def unmounted(room: Path) -> None:
    """Unmount, and wait until the upper is free."""
    before = daemons(room)
    subprocess.run([UNIONFS, "umount", room / "merged"], check=True)
    wait_for(lambda: not before & daemons(room))


WRITABLE = "lowerdir=top:base,upperdir=upper,workdir=work"


def test_layers_are_mounted_by_relative_paths_and_changes_land_in_the_upper(room: Path) -> None:
    result = mounted(room, WRITABLE)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert sorted(os.listdir(room / "merged")) == ["below", "file"]
    assert (room / "merged/file").read_text() == "top"
    (room / "merged/new").write_text("new")
    (room / "merged/below").unlink()
    unmounted(room)
    assert (room / "upper/new").read_text() == "new"
    assert (room / "base/below").read_text() == "below"
    assert os.listdir(room / "merged") == []


def test_without_an_upper_the_mount_is_read_only(room: Path) -> None:
    assert mounted(room, "lowerdir=top:base").returncode == 0
    assert (room / "merged/file").read_text() == "top"
    with pytest.raises(OSError, match="Read-only file system"):
        (room / "merged/new").touch()


def test_ro_shows_the_upper_and_leaves_it_alone(room: Path) -> None:
    (room / "upper/file").write_text("upper")
    assert mounted(room, WRITABLE + ",ro").returncode == 0
    assert (room / "merged/file").read_text() == "upper"
    with pytest.raises(OSError, match="Read-only file system"):
        (room / "merged/new").touch()
    assert os.listdir(room / "work") == []


def test_an_upper_alone_can_be_mounted(room: Path) -> None:
    assert mounted(room, "upperdir=upper,workdir=work").returncode == 0
    (room / "merged/new").touch()
    assert os.listdir(room / "merged") == ["new"]


def test_paths_are_opened_as_they_were_written(room: Path) -> None:
    (room / "deep/a,b:c\\d").mkdir(parents=True)
    (room / "deep/a,b:c\\d/odd").touch()
    (room / "l").mkdir()
    (room / "l/ID").symlink_to("../deep/a,b:c\\d")
    (room / "deep/sibling").mkdir()
    (room / "deep/sibling/near").touch()
    options = r"lowerdir=deep/a\,b\:c\\d:l/ID/../sibling"
    assert mounted(room, options).returncode == 0
    assert sorted(os.listdir(room / "merged")) == ["near", "odd"]


def test_the_mountpoint_may_be_the_lower_itself(room: Path) -> None:
    (room / "merged/under").touch()
    assert mounted(room, "lowerdir=merged:base,upperdir=upper,workdir=work").returncode == 0
    assert sorted(os.listdir(room / "merged")) == ["below", "file", "under"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("lowerdir=top:absent", "absent: No such file or directory"),
        ("lowerdir=top/file", "top/file: Not a directory"),
        ("lowerdir=top,upperdir=absent,workdir=work", "absent: No such file or directory"),
        ("lowerdir=top:upper,upperdir=upper,workdir=work", "the upperdir is also one of the lower directories"),
    ],
)
def test_a_layer_that_cannot_be_used_is_named(room: Path, options: str, reason: str) -> None:
    result = mounted(room, options)
    assert (result.returncode, result.stderr) == (1, f"unionfs: error: {reason}\n")
    assert not is_mounted(room / "merged")


def test_an_upper_is_free_again_after_a_failure_to_mount(room: Path) -> None:
    assert mounted(room, WRITABLE + ":absent").returncode == 1
    assert mounted(room, WRITABLE).returncode == 0


def test_a_volatile_upper_is_marked_until_it_was_unmounted_cleanly(room: Path) -> None:
    mark = room / "work/work/incompat/volatile"
    assert mounted(room, WRITABLE + ",volatile").returncode == 0
    assert mark.exists()
    unmounted(room)
    assert not mark.exists()
    assert mounted(room, WRITABLE + ",volatile").returncode == 0
    (daemon,) = daemons(room)
    os.kill(daemon, signal.SIGKILL)
    wait_for(lambda: not daemons(room))
    result = mounted(room, WRITABLE)
    assert result.returncode == 1
    assert "volatile" in result.stderr


def test_usr1_logs_what_the_union_holds(room: Path) -> None:
    mounted(room, WRITABLE)
    os.listdir(room / "merged")
    (daemon,) = daemons(room)
    os.kill(daemon, signal.SIGUSR1)
    wait_for(lambda: "inodes: " in (room / "log").read_text())


def test_four_hundred_lowers_are_mounted(room: Path) -> None:
    names = [f"layer{number:03}" for number in range(400)]
    for name in names:
        (room / name).mkdir()
        (room / name / f"only-in-{name}").touch()
    assert mounted(room, "lowerdir=" + ":".join(names)).returncode == 0
    assert len(os.listdir(room / "merged")) == 400


TRUSTED, USER = b"trusted.overlay.", b"user.overlay."


@pytest.mark.parametrize(
    ("options", "namespace", "written", "followed", "metacopy"),
    [
        (MountOptions(), TRUSTED, True, True, True),
        (MountOptions(), USER, False, True, False),
        (MountOptions(), None, False, True, False),
        (MountOptions(redirect_dir=RedirectDir.ON), USER, True, True, False),
        (MountOptions(redirect_dir=RedirectDir.OFF), TRUSTED, False, True, False),
        (MountOptions(redirect_dir=RedirectDir.FOLLOW), TRUSTED, False, True, False),
        (MountOptions(redirect_dir=RedirectDir.NOFOLLOW), TRUSTED, False, False, False),
        (MountOptions(metacopy=False), TRUSTED, True, True, False),
        (MountOptions(metacopy=True), USER, False, True, True),
    ],
)
def test_redirects_and_metacopy_are_written_by_default_only_where_overlayfs_reads_them(
    options: MountOptions, namespace: bytes | None, written: bool, followed: bool, metacopy: bool
) -> None:
    settings = settle(options, namespace)
    assert (settings.redirect, settings.follow_redirects, settings.metacopy) == (written, followed, metacopy)


@pytest.mark.parametrize("volatile", [True, False])
def test_what_an_upper_cannot_decide_is_as_the_options_say(volatile: bool) -> None:
    settings = settle(MountOptions(volatile=volatile, acl=not volatile, prefetch=not volatile), TRUSTED)
    assert (settings.volatile, settings.acl, settings.prefetch) == (volatile, not volatile, not volatile)
