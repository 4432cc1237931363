"""Owners shown and kept under the options of fuse-overlayfs, by it (Debian's 1.10) and by the program in its place."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.fuse.presented import PATIENCE
from tests.mounts import is_mounted, unmount_or_detach
from tests.posix.processes import as_user
from tests.stacks import Directory, File, Layer
from tests.unions import Stack

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away, and becomes somebody else")

PROGRAMS = ("fuse-overlayfs", str(Path(sys.executable).with_name("unionfs-overlay")))
IDS = (0, 1, 5, 999, 1000, 1001, 65535, 65536, 100000, 4294967294)
LOWER: Layer = {str(number): File(uid=number, gid=number) for number in IDS} | {
    "theirs": Directory(mode=0o777, uid=5, gid=6),
}
OPTIONS = {
    "rootless podman": "uidmapping=:0:1000:1:1:100000:65536,gidmapping=:0:1000:1:1:100000:65536",
    "podman --userns=keep-id": "uidmapping=0:1:1000:1000:0:1:1001:1001:64536,gidmapping=0:1:5:6:6:1000",
    "users alone": "uidmapping=0:1000:10",
    "ranges that overlap": "uidmapping=0:1000:10:5:7000:10:1000:1005:10,gidmapping=5:1000:1:0:1000:10",
    "squash_to_root": "squash_to_root",
    "squash_to_uid": "squash_to_uid=1234",
    "squash_to_gid": "squash_to_root,squash_to_gid=5678",
    "squashed and mapped": "squash_to_uid=1234,uidmapping=0:1000:10,gidmapping=0:1000:10",
}
Owners = Mapping[str, tuple[int, int]]


def owners(directory: Path) -> Owners:
    """Give whose each file beneath *directory* is; markers of layers aren't looked at."""
    found = {}
    for above, _, names in os.walk(directory):
        for path in (Path(above), *(Path(above, name) for name in names)):
            status = path.lstat()
            if not path.name.startswith(".wh."):
                found[str(path.relative_to(directory))] = (status.st_uid, status.st_gid)
    return found


def change(path: Path) -> None:
    """Make files by ids that a mapping has and that it hasn't, change others, and give one away."""
    root = os.open(path, os.O_PATH)

    def make(name: str) -> Callable[[], None]:
        return lambda: os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=root))

    try:
        for uid in (0, 5, 1000, 1005, 100004):
            as_user(make(f"theirs/by{uid}"), uid, uid)
        for name in IDS:
            (path / str(name)).chmod(0o600)
        os.chown(path / "0", 1000, -1)
    finally:
        os.close(root)


def show(program: str, options: str, place: Path) -> tuple[Owners, Owners, Owners]:
    """Mount with *options* and change what shows; give the owners that show before and after, and the upper's."""
    stack = Stack(place, [LOWER])
    mountpoint = place / "mount"
    mountpoint.mkdir()
    layers = f"lowerdir={stack.lower()},upperdir={stack.upper},workdir={stack.work}"
    subprocess.run([program, "-o", f"{layers},{options}", mountpoint], check=True, timeout=PATIENCE)
    try:
        assert is_mounted(mountpoint)
        before = owners(mountpoint)
        change(mountpoint)
        after = owners(mountpoint)
    finally:
        unmount_or_detach(mountpoint)
    return before, after, owners(stack.upper)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_the_same_owners_show_and_are_kept(tmp_path: Path, options: str) -> None:
    theirs, ours = (show(program, options, tmp_path / str(place)) for place, program in enumerate(PROGRAMS))
    for found, expected in zip(ours, theirs, strict=True):
        assert found == expected
