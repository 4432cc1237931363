"""Images by buildah, podman and skopeo, unpacked and mounted: podman, umoci and overlayfs show the same of them."""

import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.archive import build as archives
from tests.filesystems import KERNEL, TRANSPORTS, FileSystem, Mounted, scratch
from tests.oracles import contradictions
from tests.snapshots import Snapshot, snapshot
from tests.stacks import write
from tests.system import image
from tests.system.containers import Containers, containers
from tests.system.on_disk import mounted_over

SAVED: Mapping[str, tuple[str, ...]] = {
    "docker-archive": ("podman", "save", "--quiet", "--output", "docker-archive", image.NAME),
    "oci-archive": ("skopeo", "copy", "--quiet", f"containers-storage:{image.NAME}", "oci-archive:oci-archive:odd"),
    "layout": ("skopeo", "copy", "--quiet", f"containers-storage:{image.NAME}", "oci:layout:odd"),
    "zstd": (
        "skopeo", "copy", "--quiet", "--dest-compress-format", "zstd",
        f"containers-storage:{image.NAME}", "oci:zstd:odd",
    ),
}  # fmt: skip
VIEWERS = pytest.mark.parametrize("filesystem", [KERNEL, *TRANSPORTS], ids=lambda system: f"mounted by {system.name}")
"""Layers are in the format of overlayfs, which must show the same of them."""
Faults = Mapping[str, Collection[str]]
FAULTS_OF_PODMAN: Faults = {
    ".": {"mode", "uid", "gid", "mtime_ns"},  # the root of a layer that doesn't name it gets podman's own
    "times/before": {"mtime_ns"},  # a time before 1970 becomes 1970
    "xattrs/empty": {"xattrs"},  # Go takes an empty PAX record for the removal of a record
}
FAULTS_OF_UMOCI: Faults = {
    "xattrs/empty": {"xattrs"},
    # It keeps one tree, not layers: where an upper layer removes a name, the others count it no more.
    **{path: {"nlink"} for path in ("hard/one", "hard/two", "made/one")},
}
LOST_BY_GNU_TAR: Faults = {path: {"nlink"} for path in ("special/fifo", "special/fifo2")}


@pytest.fixture(scope="module")
def programs() -> Iterator[Containers]:
    with containers() as made:
        image.build(made)
        for command in SAVED.values():
            made.run(*command)
        yield made


@pytest.fixture(scope="module")
def shown_by_podman(programs: Containers) -> Snapshot:
    with programs.mounted(image.NAME) as root:
        return snapshot(root)


@pytest.fixture(scope="module")
def shown_by_umoci(programs: Containers) -> Snapshot:
    programs.run("umoci", "unpack", "--image", "layout:odd", "bundle")
    return snapshot(programs.directory / "bundle/rootfs")


def unpack(archive: Path, directory: Path) -> tuple[Path, ...]:
    """Unpack an image and give its layers, topmost first."""
    program = Path(sys.executable).with_name("unionfs")
    command = [str(program), "unpack", "--format", "json", str(archive), str(directory)]
    # Whatever the umask is, modes are those of the image.
    printed = subprocess.run(command, stdout=subprocess.PIPE, check=True, umask=0o077).stdout
    return tuple(Path(layer["path"]) for layer in reversed(json.loads(printed)["layers"]))


@contextmanager
def unpacked(filesystem: FileSystem, archive: Path, *options: str, writable: bool = False) -> Iterator[Mounted]:
    """Unpack an image and mount its layers, read-only or below an upper."""
    with scratch() as directory:
        lowers = unpack(archive, directory / "layers")
        with mounted_over(filesystem, lowers, writable=writable, options=options) as stack:
            yield stack


@pytest.mark.parametrize("form", SAVED)
@VIEWERS
def test_podman_shows_the_same(
    programs: Containers, shown_by_podman: Snapshot, filesystem: FileSystem, form: str
) -> None:
    with unpacked(filesystem, programs.directory / form) as stack:
        assert len(stack.lowers) == 1 + len(image.UPPER_LAYERS)
        assert contradictions(shown_by_podman, snapshot(stack.root), but_for=FAULTS_OF_PODMAN) == []


@VIEWERS
def test_umoci_shows_the_same(programs: Containers, shown_by_umoci: Snapshot, filesystem: FileSystem) -> None:
    with unpacked(filesystem, programs.directory / "layout") as stack:
        assert contradictions(shown_by_umoci, snapshot(stack.root), but_for=FAULTS_OF_UMOCI) == []


@pytest.mark.parametrize("metacopy", ["on", "off"])
@VIEWERS
def test_everything_copied_up_shows_the_same(programs: Containers, filesystem: FileSystem, metacopy: str) -> None:
    layout = programs.directory / "layout"
    with unpacked(filesystem, layout, f"metacopy={metacopy}", writable=True) as stack:
        before = snapshot(stack.root)
        for path in before:
            found = os.lstat(stack.root / path)
            os.utime(stack.root / path, ns=(found.st_atime_ns, found.st_mtime_ns), follow_symlinks=False)
        assert contradictions(before, snapshot(stack.root)) == []
        stack.remount()
        assert contradictions(before, snapshot(stack.root)) == []
        assert stack.upper is not None
        further_names = {path for path, entry in before.items() if entry.nlink > 1}
        assert before.keys() - snapshot(stack.upper).keys() <= further_names


SPARSE: Mapping[str, tuple[str, ...]] = {
    "not sparse": (),
    "sparse": ("--sparse",),
    "sparse 0.1": ("--sparse", "--sparse-version=0.1"),
    "sparse 0.0": ("--sparse", "--sparse-version=0.0"),
}


@pytest.mark.parametrize("form", SPARSE)
@pytest.mark.parametrize("filesystem", TRANSPORTS, ids=lambda system: system.name)
def test_a_layer_by_gnu_tar_shows_what_went_into_it(filesystem: FileSystem, form: str) -> None:
    with scratch() as directory:
        write(directory / "tree", image.BASE)
        made = archives.OciImage([image.archived(directory / "tree", *SPARSE[form])])
        archives.tree(archives.layout([made.entry("one")], made.blobs), directory / "layout")
        with unpacked(filesystem, directory / "layout") as stack:
            shown = snapshot(stack.root)
            assert contradictions(snapshot(directory / "tree"), shown, but_for=LOST_BY_GNU_TAR) == []
            assert SPARSE[form] == () or (stack.root / "sparse/holes").stat().st_blocks <= 100
