"""Lowers that are file systems in user space: they have no id of their own, and their handles don't outlive them."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.layer.opened import opened_lower, opened_upper
from tests.mounts import is_mounted, unmount_or_detach
from tests.stacks import File, HardLink, Layer, Node, write
from unionfs.layer.directory import Directory
from unionfs.layer.index import HardLinks

PATIENCE = 10.0
NAMES = [f"f{number}" for number in range(20)]


def linked(content: str) -> Layer:
    """Describe files with two names each."""
    layer: dict[str, Node] = {name: File(f"{content}-{name}".encode()) for name in NAMES}
    layer.update({f"{name}-too": HardLink(name) for name in NAMES})
    return layer


@contextmanager
def served(layer: Path, empty: Path, place: Path) -> Iterator[None]:
    """Let fuse-overlayfs show *layer* at *place*."""
    options = f"lowerdir={layer}:{empty}"
    with subprocess.Popen(["fuse-overlayfs", "-f", "-o", options, str(place)]) as daemon:
        deadline = time.monotonic() + PATIENCE
        while not is_mounted(place):
            assert daemon.poll() is None, "fuse-overlayfs has ended"
            assert time.monotonic() < deadline, "fuse-overlayfs isn't ready"
            time.sleep(0.01)
        try:
            yield
        finally:
            unmount_or_detach(place)
            daemon.wait(PATIENCE)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Give a directory with two layers, and one to show each at."""
    if os.geteuid() != 0 or shutil.which("fuse-overlayfs") is None:
        pytest.skip("needs root and fuse-overlayfs, which shows the lowers")
    place = Path(os.path.realpath(tmp_path))
    for name in ("empty", "one", "other"):
        write(place / name, {} if name == "empty" else linked(name))
    for number in range(2):
        (place / f"shown{number}").mkdir()
    return place


@contextmanager
def both_served(source: Path) -> Iterator[list[Directory]]:
    """Open both layers as they are shown."""
    with (
        served(source / "one", source / "empty", source / "shown0"),
        served(source / "other", source / "empty", source / "shown1"),
        opened_lower(source / "shown0", position=0) as one,
        opened_lower(source / "shown1", position=1) as other,
    ):
        yield [one, other]


def keys(links: HardLinks, root: Directory, suffix: str = "") -> list[bytes]:
    return [links.key(root, f"{name}{suffix}".encode()) for name in NAMES]


def test_a_link_has_the_same_key_when_the_daemon_starts_anew(source: Path) -> None:
    """Its handles are numbers of the daemon's memory, which mean another file the next time."""
    found: list[list[bytes]] = []
    with opened_upper(source) as upper:
        for _ in range(2):
            with both_served(source) as (one, other):
                found.append(keys(upper.links, one) + keys(upper.links, other))
                assert keys(upper.links, one, "-too") + keys(upper.links, other, "-too") == found[-1]
    assert found[0] == found[1]
    assert len(set(found[0])) == 2 * len(NAMES)


def test_layers_whose_files_have_the_same_numbers_are_told_apart(source: Path) -> None:
    with (
        opened_upper(source) as upper,
        served(source / "one", source / "empty", source / "shown0"),
        served(source / "one", source / "empty", source / "shown1"),
        opened_lower(source / "shown0", position=0) as one,
        opened_lower(source / "shown1", position=1) as other,
    ):
        assert not set(keys(upper.links, one)) & set(keys(upper.links, other))
