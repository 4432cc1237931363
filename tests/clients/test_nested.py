"""A mount of the drop-in that is a lower of another overlay, and one that a user namespace makes for itself.

Some work is done in the inner mount, then other work in the outer one; what shows is what a plain directory shows after
the same.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.filesystems import scratch
from tests.oracles import contradictions
from tests.snapshots import differences, snapshot
from tests.stacks import File, Layer, Symlink, write
from tests.users.stack import COMMANDS

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts overlayfs")
LAYER: Layer = {
    "d/x": File(b"x" * 5000, xattrs={"user.k": b"v"}),
    "d/y": File(b"y", mode=0o4755, uid=7, gid=8),
    "d/e/z": File(b"z"),
    "gone/a": File(b"a"),
    "again/a": File(b"a"),
    "link": Symlink("d/y"),
}
INNER = """
rm d/x
rm -r gone again
mkdir again
echo inner >again/b
echo more >>d/e/z
mv d/y d/moved
ln d/moved d/hard
"""
OUTER = """
echo outer >>d/e/z
test "$(cat again/b)" = inner
rm -r again
echo file >again
test ! -e d/x
echo x >d/x
cp -a d/e d/f
rm -r d/e
mkdir gone
touch gone/b
"""
OVERLAY = "unionfs-overlay"
ABOVE = {"overlayfs": ("mount", "-t", "overlay", "overlay"), **COMMANDS}
SUMS = "find . -type f -exec sha256sum {} + | sort"
IN_NAMESPACE = """
rm d/x
rm -r gone
mkdir gone
echo more >>d/e/z
mv d/e/z d/moved
ln d/moved d/hard
"""
NAMESPACE = f"""
for helper in fusermount3 fusermount; do
    ! there=$(command -v $helper) || mount --bind /dev/null "$there"
done
"$1" -o lowerdir=low,upperdir=upper,workdir=work merged
grep " $PWD/merged " /proc/mounts
( cd merged; eval "$2" )
umount merged
"$1" -o lowerdir=low,upperdir=upper,workdir=work merged
( cd merged; {SUMS} )
umount merged
"""


def work(directory: Path, script: str) -> None:
    subprocess.run(["sh", "-euc", script], cwd=directory, check=True)


@contextmanager
def mounted(kind: str, room: Path, lower: Path) -> Iterator[Path]:
    """Mount *lower* beneath the upper that is, or will be, in *room*."""
    for name in ("upper", "work", "merged"):
        (room / name).mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={lower},upperdir={room}/upper,workdir={room}/work"
    subprocess.run([*ABOVE[kind], "-o", options, room / "merged"], check=True)
    try:
        yield room / "merged"
    finally:
        subprocess.run(["umount", room / "merged"], check=True)
        # Whoever serves it has the upper locked until all is written.
        subprocess.run(["flock", room / "upper", "true"], check=True, timeout=60)


@pytest.mark.parametrize("above", ABOVE)
def test_the_mount_is_a_lower_of_another_overlay(above: str) -> None:
    with scratch() as directory:
        for name in ("plain", "low"):
            write(directory / name, LAYER)
        work(directory / "plain", INNER)
        work(directory / "plain", OUTER)
        with mounted(OVERLAY, directory / "inner", directory / "low") as inner:
            work(inner, INNER)
            before = snapshot(inner)
            with mounted(above, directory / "outer", inner) as outer:
                work(outer, OUTER)
                shown = snapshot(outer)
                assert contradictions(snapshot(directory / "plain"), shown, ignoring={"mtime_ns"}) == []
            assert differences(before, snapshot(inner)) == []
        with (
            mounted(OVERLAY, directory / "inner", directory / "low") as inner,
            mounted(above, directory / "outer", inner) as outer,
        ):
            assert contradictions(shown, snapshot(outer)) == []


def test_a_user_namespace_mounts_for_itself_without_fusermount3() -> None:
    """As ``unshare -Urm`` makes one; what helps ordinary users to mount can't be run there."""
    with scratch() as directory:
        for name in ("low", "plain"):
            write(directory / name, {path: node for path, node in LAYER.items() if node.uid == 0})
        for name in ("upper", "work", "merged"):
            (directory / name).mkdir()
        work(directory / "plain", IN_NAMESPACE)
        done = subprocess.run(
            ["unshare", "-Urm", "sh", "-euc", NAMESPACE, "sh", *COMMANDS[OVERLAY], IN_NAMESPACE],
            cwd=directory, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        mount, *sums = done.stdout.splitlines()
        assert f" {directory}/merged fuse.{OVERLAY} " in mount
        expected = subprocess.run(
            ["sh", "-euc", SUMS], cwd=directory / "plain", check=True, capture_output=True, text=True
        )
        assert sums == expected.stdout.splitlines()
