"""Commands that change the store, run by several processes at once."""

import os
import subprocess
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.stored import Captured, fill, printed
from tests.image.documents import sha256
from tests.store.images import BOTTOM, MIDDLE, TOP
from unionfs.archive import open_archive
from unionfs.cli import main
from unionfs.image import Reference
from unionfs.store.store import Store

ROUNDS = 15


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "store"
    monkeypatch.setenv("UNIONFS_ROOT", str(path))
    return path


def at_once(*tasks: Callable[[], None]) -> None:
    """Run each task in a process of its own, and wait for all; one that fails shows why."""
    processes = [_started(task) for task in tasks]
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    assert codes == [0] * len(tasks)


def _started(task: Callable[[], None]) -> int:
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        task()
        code = 0
    except BaseException:  # noqa: BLE001 - nothing may go on in this copy of the tests
        traceback.print_exc()
    finally:
        os._exit(code)


def unionfs(*words: str) -> None:
    assert main(words) == 0, words


def load(root: Path, source: Path, name: str) -> None:
    with open_archive(source) as opened, Store(root) as store:
        store.load(opened.image(), [Reference.parse(name)])


def test_names_come_and_go_while_nothing_else_is_lost(root: Path, tmp_path: Path, capsys: Captured) -> None:
    """Two processes give and take names and images, one loads what shares layers with them, one prunes."""
    kept = fill(root, [BOTTOM], "kept:1")
    fill(root, [BOTTOM, MIDDLE], "other:1")
    sources = [tmp_path / "source-0", tmp_path / "source-1"]

    def tags() -> None:
        for number in range(ROUNDS):
            unionfs("tag", f"kept:{number + 1}", f"kept:{number + 2}")
            unionfs("rmi", f"kept:{number + 1}")

    def loads() -> None:
        for number in range(ROUNDS):
            load(root, sources[1], f"loaded:{number}")
            unionfs("rmi", f"loaded:{number}")
        load(root, sources[1], "loaded:last")

    def prunes() -> None:
        for _ in range(ROUNDS):
            unionfs("prune", "--force")

    def looks() -> None:
        for _ in range(ROUNDS):
            unionfs("inspect", "other:1")
            unionfs("df")

    at_once(tags, loads, prunes, looks)
    capsys.readouterr()
    shown = printed(capsys, "images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
    assert sorted(line.split()[0] for line in shown) == [f"kept:{ROUNDS + 1}", "loaded:last", "other:1"]
    assert f"kept:{ROUNDS + 1} {kept}" in shown
    assert sorted(os.listdir(root / "ingest")) == []
    for line in shown:
        name = Reference.parse(line.split()[0])
        target = tmp_path / name.path.replace("/", "-")
        subprocess.run(["skopeo", "copy", "-q", f"oci:{root}:{name}", f"dir:{target}"], check=True)
    unionfs("rmi", *(line.split()[0] for line in shown))
    assert [len(os.listdir(root / "blobs/sha256")), len(list((root / "layers").glob("sha256-*")))] == [0, 0]


def test_an_image_of_one_process_does_not_lack_a_layer_that_another_removes(root: Path, tmp_path: Path) -> None:
    """Both have the same lowest layer, which goes with the one and comes with the other all the time."""
    fill(root, [BOTTOM, TOP], "a:1")
    fill(root, [BOTTOM, MIDDLE], "b:1")

    def comes_and_goes(name: str, source: Path) -> Callable[[], None]:
        def run() -> None:
            for _ in range(ROUNDS):
                load(root, source, name)
                with Store(root) as store, store.using():
                    stacked = store.stack(store.find(name))
                    assert all(layer.is_dir() for layer in stacked.layers)
                    for layer in stacked.image.layers:
                        with layer.open() as content:
                            assert sha256(content.read()) == str(layer.diff_id)
                unionfs("rmi", name)

        return run

    at_once(comes_and_goes("a:1", tmp_path / "source-0"), comes_and_goes("b:1", tmp_path / "source-1"))
    assert os.listdir(root / "blobs/sha256") == []
