"""``unionfs squash``: one layer that shows what all of them show."""

import os
from pathlib import Path

import pytest

from tests.cli.making import BASE, fill_demo
from tests.cli.stored import Captured, fill, printed, run, source
from tests.cli.test_commit import image
from tests.store.test_store import content
from tests.tarball import archive, file
from unionfs.store.store import Store


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNIONFS_ROOT", str(tmp_path / "store"))
    fill_demo(tmp_path / "store", "demo:1")
    return tmp_path / "store"


def test_the_one_layer_shows_what_all_did_and_holds_nothing_else(root: Path, capsys: Captured) -> None:
    (id_,) = printed(capsys, "squash", "demo:1", "demo:small")
    new = image(root, "demo:small")
    assert (str(new.id), len(new.config.diff_ids)) == (id_, 1)
    assert printed(capsys, "diff", "demo:1", "demo:small") == []
    with Store(root) as store, store.using():
        top = store.stack(new).layers[0]
    assert sorted(os.listdir(top / "etc")) == ["passwd", "second"]
    assert os.stat(top / "bin/tool").st_nlink == 2
    assert len(image(root, "demo:1").config.diff_ids) == 2


def test_the_config_stays_and_the_history_tells_all_steps_of_which_the_last_made_the_layer(
    root: Path, capsys: Captured
) -> None:
    printed(capsys, "squash", "-m", "smaller", "demo:1", "demo:small")
    new, old = image(root, "demo:small").config, image(root, "demo:1").config
    assert new.execution == old.execution
    assert [(step.created_by, step.empty_layer) for step in new.history] == [
        ("base", True), ("env", True), ("second", True), ("unionfs squash", False)
    ]  # fmt: skip
    assert new.history[-1].comment == "smaller"


def test_the_same_layers_make_the_same_layer(root: Path, capsys: Captured) -> None:
    printed(capsys, "squash", "demo:1", "a")
    printed(capsys, "squash", "demo:1", "b")
    assert image(root, "a").config.diff_ids == image(root, "b").config.diff_ids


def test_an_image_may_lie_in_a_file(root: Path, capsys: Captured, tmp_path: Path) -> None:
    other = source(tmp_path / "other", [BASE, archive(file(b"etc/.wh..wh..opq"), file(b"etc/only"))])
    printed(capsys, "squash", f"oci:{other}", "small")
    with Store(root) as store, store.using():
        assert os.listdir(store.stack(store.find("small")).layers[0] / "etc") == ["only"]


def test_an_image_without_layers_becomes_one_with_an_empty_one(root: Path, capsys: Captured) -> None:
    fill(root, [], "empty")
    printed(capsys, "squash", "empty", "small")
    assert len(image(root, "small").config.diff_ids) == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [(["nothing"], 1, "no such image"), (["demo:1", "X"], 1, "must be lowercase"), ([], 2, "Missing argument")],
)
def test_what_is_wrong_is_told_in_one_line_and_changes_nothing(
    root: Path, capsys: Captured, words: list[str], code: int, said: str
) -> None:
    with Store(root) as store:
        before = content(store), store.catalogue()
        found, output, errors = run(capsys, "squash", *words)
        assert (content(store), store.catalogue()) == before
    assert (found, output, errors.count("\n")) == (code, "", 1)
    assert said in errors
