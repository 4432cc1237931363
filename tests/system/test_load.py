"""Many programs at once on one mount: the files at the end are those that a plain directory has."""

import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.filesystems import KERNEL, TRANSPORTS, FileSystem, scratch
from tests.oracles import changes_since, contradictions
from tests.snapshots import Snapshot, differences, snapshot
from tests.system import load
from tests.system.on_disk import mounted_over
from tools.system import forget_inodes, forgetting_inodes

WHILE = {"undisturbed": nullcontext, "caches are dropped": forgetting_inodes}


@dataclass(frozen=True)
class Prepared:
    """Two lowers, what the load reads from outside, and what a plain directory holds after it."""

    directory: Path
    lowers: tuple[Path, Path]
    before: tuple[Snapshot, Snapshot]
    expected: Snapshot

    def run(self, directory: Path) -> None:
        """Put the load on ``directory``."""
        load.run(directory, self.directory / "inputs", self.directory / "stop")


@pytest.fixture(scope="module")
def prepared() -> Iterator[Prepared]:
    with scratch() as directory:
        lowers = (directory / "top", directory / "base")
        load.write_layers(lowers[1], lowers[0], directory)
        load.write_inputs(directory / "inputs")
        with mounted_over(KERNEL, lowers) as stack:
            subprocess.run(["cp", "-a", stack.root, directory / "plain"], check=True)
        load.run(directory / "plain", directory / "inputs", directory / "stop")
        before = (snapshot(lowers[0]), snapshot(lowers[1]))
        yield Prepared(directory, lowers, before, snapshot(directory / "plain"))


def test_overlayfs_bears_the_load(prepared: Prepared) -> None:
    with mounted_over(KERNEL, prepared.lowers) as stack:
        prepared.run(stack.root)
        assert contradictions(prepared.expected, snapshot(stack.root), ignoring={"mtime_ns"}) == []


@pytest.mark.parametrize("disturbance", WHILE.values(), ids=WHILE.keys())
@pytest.mark.parametrize("filesystem", TRANSPORTS, ids=lambda system: system.name)
def test_a_load_leaves_what_it_leaves_in_a_plain_directory(
    prepared: Prepared, filesystem: FileSystem, disturbance: type[AbstractContextManager[None]]
) -> None:
    with mounted_over(filesystem, prepared.lowers) as stack:
        with disturbance():
            prepared.run(stack.root)
            shown = snapshot(stack.root)
        assert contradictions(prepared.expected, shown, ignoring={"mtime_ns"}) == []
        forget_inodes()
        assert changes_since(shown, snapshot(stack.root)) == []
        stack.remount()
        assert changes_since(shown, snapshot(stack.root)) == []
        assert differences(prepared.before[0], snapshot(prepared.lowers[0])) == []
        assert differences(prepared.before[1], snapshot(prepared.lowers[1])) == []
