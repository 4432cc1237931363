"""Random work of several processes on the same names: whoever wins, what shows is what is on disk."""

from contextlib import AbstractContextManager, nullcontext

import pytest

from tests.filesystems import TRANSPORTS, FileSystem, mounted
from tests.oracles import changes_since
from tests.snapshots import snapshot
from tests.stacks import EMPTY
from tests.system.racing import race, random_layers
from tools.system import forget_inodes, forgetting_inodes

WHILE = {"undisturbed": nullcontext, "caches are dropped": forgetting_inodes}


@pytest.mark.parametrize("disturbance", WHILE.values(), ids=WHILE.keys())
@pytest.mark.parametrize("metacopy", ["on", "off"])
@pytest.mark.parametrize("filesystem", TRANSPORTS, ids=lambda system: system.name)
def test_after_a_race_every_view_is_the_same(
    filesystem: FileSystem, metacopy: str, disturbance: type[AbstractContextManager[None]]
) -> None:
    """That the lowers didn't change and the daemon met nothing unexpected is checked when the mount ends."""
    seed = 1 + (metacopy == "on")
    with mounted(filesystem, random_layers(seed), EMPTY, options=(f"metacopy={metacopy}",)) as stack:
        with disturbance():
            race(stack.root, seed, seconds=2.0)
        shown = snapshot(stack.root)
        forget_inodes()
        assert changes_since(shown, snapshot(stack.root)) == []
        stack.remount()
        assert changes_since(shown, snapshot(stack.root)) == []
