"""containerd: images are unpacked into snapshots that this program mounts, and containers run on them.

The same with containerd's own snapshots by overlayfs is what is compared with. The commands that arrive are those that
containerd's mounts of the type ``fuse3.NAME`` make: ``mount.fuse3 overlay TARGET -o ... -t NAME``.
"""

import itertools
import os
import re
import tarfile
import time
from collections.abc import Iterator

import pytest

from tests.clients.containerd import PATIENCE, Containerd, containerd
from tests.filesystems import scratch

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="containerd runs as root")
NUMBERS = itertools.count()
CHANGE = """
echo changed >>/etc/kept
rm /etc/middle
rm -r /opaque
mkdir /opaque
echo new >/opaque/more
chmod 600 /dir/x
mkdir /dir/made
ln /hard/one /hard/three
cat /big >/dev/null
"""
# The times of directories that a layer doesn't name are those of their unpacking, and one that is merged has one link.
LOOK = """
cd /
find dir etc hard hidden opaque top gone -exec stat -c '%n %F %u %g %a' {} + | busybox sort
find dir etc hard hidden opaque top gone -type f -exec stat -c '%n %s %h %Y' {} + | busybox sort
"""


@pytest.fixture(scope="module", params=["fuse-overlayfs", "unionfs-overlay"])
def ours(request: pytest.FixtureRequest) -> Iterator[Containerd]:
    """Run with our program under this name, the first on PATH."""
    with scratch() as directory, containerd(directory, request.param) as running:
        yield running


@pytest.fixture(scope="module")
def reference() -> Iterator[Containerd]:
    with scratch() as directory, containerd(directory, None) as running:
        yield running


def test_a_container_runs_on_our_mount(ours: Containerd) -> None:
    said = ours.run("first", "grep ' / ' /proc/mounts; cat /etc/kept; echo new >/new; cat /new", "--rm")
    first, *rest = said.splitlines()
    assert first.split()[2] == "fuse.unionfs-overlay", first
    assert rest == ["etc/keptnew"]


def test_a_container_sees_what_one_on_overlayfs_sees(ours: Containerd, reference: Containerd) -> None:
    assert ours.run("looks", LOOK, "--rm") == reference.run("looks", LOOK, "--rm") != ""


def changes(running: Containerd) -> list[tuple[str, bytes, int, int, bytes]]:
    """Change things in a container, and give the entries of the layer that containerd makes of its snapshot."""
    name = f"changes{next(NUMBERS)}"
    running.run(name, CHANGE)
    layer = running.directory / f"{name}.tar"
    script = 'ctr --address "$1" snapshots --snapshotter "$2" diff --media-type "$3" "$4" >"$5"'
    words = [
        str(running.directory / "containerd.sock"),
        running.snapshotter,
        "application/vnd.oci.image.layer.v1.tar",
        name,
    ]
    done = running.start("sh", "-c", script, "sh", *words, layer)
    assert done.returncode == 0, done.stderr
    found = []
    with tarfile.open(layer) as archive:
        for entry in archive:
            content = archive.extractfile(entry) if entry.isreg() else None
            found.append((entry.name, entry.type, entry.mode, entry.uid, content.read() if content else b""))
    return sorted(found)


def test_what_is_committed_is_what_was_changed(ours: Containerd, reference: Containerd) -> None:
    found = changes(ours)
    assert {name.rstrip("/") for name, *_ in found} >= {
        "etc/kept",
        "etc/.wh.middle",
        "opaque/more",
        "dir/x",
        "dir/made",
    }
    assert found == changes(reference)


def test_nothing_is_left_of_a_container_that_was_removed(ours: Containerd) -> None:
    ours.run("short", "echo more >>/big", "--rm")
    deadline = time.monotonic() + PATIENCE
    while (ours.mounts(), ours.daemons()) != ([], []):
        assert time.monotonic() < deadline, (ours.mounts(), ours.daemons())
        time.sleep(0.05)


def test_a_snapshot_is_mounted_as_ctr_says(ours: Containerd) -> None:
    """``ctr snapshots mounts`` prints a command for mount(8), whose shell looks for the program in its own places."""
    target = ours.directory / "target"
    target.mkdir(exist_ok=True)
    named = [f"--snapshotter={ours.snapshotter}"]
    committed = [line.split() for line in ours.ctr("snapshots", *named, "ls").splitlines() if "Committed" in line]
    parents = {word for _, *rest in committed for word in rest}
    top = next(name for name, *_ in committed if name not in parents)
    ours.ctr("snapshots", *named, "prepare", "by-hand", top)
    command = ours.ctr("snapshots", *named, "mounts", str(target), "by-hand")
    kind, source, options = re.fullmatch(r"mount -t fuse3\.(\S+) (\S+) \S+ -o (\S+)\n", command).groups()  # type: ignore[union-attr]  # a test that finds none fails
    done = ours.start("mount.fuse3", source, target, "-o", options, "-t", kind)
    assert done.returncode == 0, done.stderr
    assert [line.split()[2] for line in ours.mounts()] == ["fuse.unionfs-overlay"]
    assert ours.start("cat", target / "dir/top").stdout == "dir/top"
    assert ours.start("fusermount3", "-u", target).returncode == 0
