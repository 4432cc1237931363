"""Mounts on mounts: one of this program is a lower of another or holds its upper, also with overlayfs above or below.

Some work is done in the inner mount and then other work in the outer one, or all of it in the outer one. What shows at
the end is what a plain directory shows after the same work.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.filesystems import KERNEL, TRANSPORTS, FileSystem, Mounted, scratch
from tests.oracles import contradictions
from tests.snapshots import Snapshot, differences, snapshot
from tests.system import load
from tests.system.on_disk import mounted_over

FIRST = ("remove", "share 0", "patch 0")
SECOND = ("share 1", "patch 1", "git of the lowers")
LINKS = ("link",)
PAIRS = [pair for ours in TRANSPORTS for pair in ((ours, KERNEL), (KERNEL, ours), (ours, ours))]


@dataclass(frozen=True)
class Prepared:
    """Two lowers, topmost first, a copy of what they show in ``merged``, and what the work leaves of another."""

    directory: Path
    lowers: tuple[Path, Path]
    expected: Snapshot

    def work(self, directory: Path, *turns: tuple[str, ...]) -> None:
        """Do the jobs of each turn at once, one turn after the other."""
        for jobs in turns:
            load.run(directory, self.directory / "inputs", self.directory / "stop", jobs)


@pytest.fixture(scope="module")
def prepared() -> Iterator[Prepared]:
    with scratch() as directory:
        lowers = (directory / "top", directory / "base")
        load.write_layers(lowers[1], lowers[0], directory)
        load.write_inputs(directory / "inputs")
        with mounted_over(KERNEL, lowers, writable=False) as stack:
            (directory / "merged").mkdir()
            for copy in ("plain", "merged/original"):
                subprocess.run(["cp", "-a", stack.root, directory / copy], check=True)
        plain = Prepared(directory, lowers, {})
        plain.work(directory / "plain", FIRST, SECOND, LINKS)
        before = [snapshot(lower) for lower in lowers]
        yield Prepared(directory, lowers, snapshot(directory / "plain"))
        assert [differences(old, snapshot(lower)) for old, lower in zip(before, lowers, strict=True)] == [[], []]


def check(prepared: Prepared, inner: Mounted, outer: Mounted) -> None:
    """Look at the outer mount; then again after it is mounted anew, and after both are."""
    shown = snapshot(outer.root)
    assert contradictions(prepared.expected, shown, ignoring={"mtime_ns"}) == []
    outer.remount()
    assert contradictions(shown, snapshot(outer.root)) == []
    outer.unmount()
    inner.remount()
    outer.mount()
    assert contradictions(shown, snapshot(outer.root)) == []


@pytest.mark.parametrize(("below", "above"), PAIRS, ids=lambda system: system.name)
def test_a_mount_is_a_lower_of_another(prepared: Prepared, below: FileSystem, above: FileSystem) -> None:
    """Overlayfs keeps the links of a lower by file handles, of which FUSE knows those that the kernel remembers."""
    with mounted_over(below, prepared.lowers) as inner:
        prepared.work(inner.root, FIRST, *([LINKS] if above is KERNEL else []))
        before = snapshot(inner.root)
        with mounted_over(above, [inner.root], options=("index=off",)) as outer:
            prepared.work(outer.root, SECOND, *([] if above is KERNEL else [LINKS]))
            assert differences(before, snapshot(inner.root)) == []
            check(prepared, inner, outer)


@contextmanager
def empty_layers() -> Iterator[list[Path]]:
    with scratch() as directory:
        layers = [directory / "one", directory / "two"]
        for layer in layers:
            layer.mkdir()
        yield layers


@pytest.mark.parametrize("ours", TRANSPORTS, ids=lambda system: system.name)
def test_a_mount_by_overlayfs_holds_the_upper(prepared: Prepared, ours: FileSystem) -> None:
    """The other way round is refused by overlayfs: it takes no upper on FUSE."""
    with (
        empty_layers() as layers,
        mounted_over(KERNEL, layers) as inner,
        mounted_over(ours, prepared.lowers, upper_beneath=inner.root) as outer,
    ):
        prepared.work(outer.root, FIRST, SECOND, LINKS)
        check(prepared, inner, outer)


@pytest.mark.parametrize("ours", TRANSPORTS, ids=lambda system: system.name)
def test_a_mount_holds_every_layer_of_another(prepared: Prepared, ours: FileSystem) -> None:
    with (
        mounted_over(ours, [prepared.directory / "merged", prepared.directory / "inputs"]) as inner,
        mounted_over(ours, [inner.root / "original"], upper_beneath=inner.root) as outer,
    ):
        prepared.work(outer.root, FIRST, SECOND, LINKS)
        check(prepared, inner, outer)


@pytest.mark.parametrize("ours", TRANSPORTS, ids=lambda system: system.name)
def test_uppers_stand_on_uppers_three_deep(prepared: Prepared, ours: FileSystem) -> None:
    with (
        empty_layers() as layers,
        mounted_over(ours, layers) as lowest,
        mounted_over(ours, layers, upper_beneath=lowest.root) as inner,
        mounted_over(ours, prepared.lowers, upper_beneath=inner.root) as outer,
    ):
        prepared.work(outer.root, FIRST, SECOND, LINKS)
        check(prepared, inner, outer)
