"""A commit that is killed: the store has the images it had, or the new one too, whole; nothing is lost or left over."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.making import fill_demo, make_upper
from tests.cli.stored import Captured, printed
from tests.diff.test_lines import steps
from tests.store.test_store import content
from unionfs.store.store import Store

COMMIT = (sys.executable, "-c", "import sys; from unionfs.cli import main; sys.exit(main(['commit', 'web', 'web:2']))")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "store"
    monkeypatch.setenv("UNIONFS_ROOT", str(root))
    fill_demo(root, "demo:1")
    make_upper(root, "web", "demo:1", steps("create new", "mkdir d", "create d/e", "unlink etc/second"))
    return root


@pytest.mark.parametrize(
    "point",
    [
        *(f"renameat:signal=KILL:when={number}" for number in range(1, 7)),
        *(f"fsync:signal=KILL:when={number}" for number in (1, 2, 4, 6, 8)),
        *(f"mkdirat:signal=KILL:when={number}" for number in (1, 3, 5)),
        *(f"unlinkat:signal=KILL:when={number}" for number in (1, 2)),
        "syncfs:signal=KILL",
        "flock:signal=KILL:when=2",
    ],
)
def test_a_commit_killed_anywhere_leaves_a_whole_store(root: Path, capsys: Captured, point: str) -> None:
    with Store(root) as store:
        before, images = content(store), store.catalogue().images
        killed = subprocess.run(
            ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"inject={point}", *COMMIT],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert killed.returncode in (1, -signal.SIGKILL, 128 + signal.SIGKILL), killed
        found = store.catalogue()
        assert found.damaged == ()
        new = [image for image in found.images if image not in images]
        assert all(image in found.images for image in images)
        store.collect()
        if new:
            assert [name.familiar for name in new[0].names] == ["web:2"]
        else:
            assert content(store) == before
        assert os.listdir(root / "ingest") == []
        assert printed(capsys, "diff", "web") == ["A /d", "A /d/e", "C /etc", "D /etc/second", "A /new"]
        assert len(printed(capsys, "commit", "web", "web:2")) == 1
        assert printed(capsys, "diff", "web:2", "web") == []
