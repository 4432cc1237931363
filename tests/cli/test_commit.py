"""``unionfs commit``: what the new image is, and what it shares with the one beneath."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.making import fill_demo, make_upper
from tests.cli.stored import Captured, fill, printed, run
from tests.diff.test_lines import steps
from tests.store.test_store import content
from unionfs.cli import new_image
from unionfs.diff import Change, write_changes
from unionfs.image import Digest
from unionfs.store.images import StoredImage
from unionfs.store.store import Store
from unionfs.tar.writer import Sink
from unionfs.view import View


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNIONFS_ROOT", str(tmp_path / "store"))
    fill_demo(tmp_path / "store", "demo:1")
    return tmp_path / "store"


def image(root: Path, argument: str) -> StoredImage:
    with Store(root) as store:
        return store.find(argument)


def test_the_new_image_has_the_layers_of_the_other_and_one_more(root: Path, capsys: Captured) -> None:
    make_upper(root, "web", "demo:1", steps("create etc/new", "unlink etc/second"))
    (id_,) = printed(capsys, "commit", "web", "demo/web:2")
    parent, new = image(root, "demo:1"), image(root, "demo/web:2")
    assert str(new.id) == id_
    assert new.config.diff_ids[:-1] == parent.config.diff_ids
    assert [layer.digest for layer in new.manifest.layers[:-1]] == [layer.digest for layer in parent.manifest.layers]
    with Store(root) as store, store.using():
        top = store.stack(new).layers[-1]
    assert sorted(os.listdir(top / "etc")) == ["new", "second"]
    assert os.stat(top / "etc/second").st_rdev == 0


def test_what_the_other_image_has_is_neither_copied_nor_touched(root: Path, capsys: Captured) -> None:
    with Store(root) as store:
        before = content(store)
        make_upper(root, "web", "demo:1", steps("create etc/new"))
        printed(capsys, "commit", "web")
        after = content(store)
    assert before.items() <= after.items()
    assert len(after) == len(before) + 4


def test_the_config_is_the_others_with_what_was_asked_for(root: Path, capsys: Captured) -> None:
    make_upper(root, "web", "demo:1", steps("create new"))
    words = ["-a", "Ada <a@b>", "-m", "with a page", "-p", "-c", 'CMD ["/bin/httpd","-f"]', "-c", "EXPOSE 80"]
    printed(capsys, "commit", *words, "web", "web:2")
    found = json.loads(image(root, "web:2").config.raw)
    assert found["author"] == "Ada <a@b>"
    assert found["config"] == {
        "Env": ["PATH=/bin"], "Cmd": ["/bin/httpd", "-f"], "Labels": {"a": "b"}, "OnBuild": ["RUN x"],
        "ExposedPorts": {"80/tcp": {}},
    }  # fmt: skip
    *earlier, last = found["history"]
    assert [entry["created_by"] for entry in earlier] == ["base", "env", "second"]
    assert last == {
        "created": found["created"], "created_by": "unionfs commit web", "author": "Ada <a@b>",
        "comment": "with a page",
    }  # fmt: skip


def test_an_upper_without_changes_adds_no_layer(root: Path, capsys: Captured) -> None:
    make_upper(root, "web", "demo:1")
    printed(capsys, "commit", "-c", "USER 1000", "web", "web:2")
    new = image(root, "web:2")
    assert new.config.diff_ids == image(root, "demo:1").config.diff_ids
    assert (new.config.execution.user, new.config.history[-1].empty_layer) == ("1000", True)


def test_a_name_moves_to_the_new_image_and_the_other_stays(root: Path, capsys: Captured) -> None:
    old = image(root, "demo:1").id
    make_upper(root, "web", "demo:1", steps("create new"))
    printed(capsys, "commit", "web", "demo:1")
    assert image(root, "demo:1").id != old
    assert image(root, str(old)).names == ()


def test_an_upper_goes_on_after_its_commit(root: Path, capsys: Captured) -> None:
    make_upper(root, "web", "demo:1", steps("create new"))
    printed(capsys, "commit", "web", "web:2")
    printed(capsys, "commit", "web", "web:3")
    one, other = image(root, "web:2"), image(root, "web:3")
    assert one.config.diff_ids == other.config.diff_ids
    assert printed(capsys, "diff", "web") == ["A /new"]
    assert printed(capsys, "diff", "web:2", "web:3") == []


def test_the_image_of_the_upper_may_have_lost_its_name(root: Path, capsys: Captured) -> None:
    parent = image(root, "demo:1")
    make_upper(root, "web", "demo:1", steps("create new"))
    assert run(capsys, "rmi", "demo:1")[0] == 0
    printed(capsys, "commit", "web", "web:2")
    assert image(root, "web:2").config.diff_ids[:-1] == parent.config.diff_ids


def test_what_a_layer_cannot_hold_is_a_warning(root: Path, capsys: Captured) -> None:
    make_upper(root, "web", "demo:1", lambda k: k.create("socket", 0o140755))
    code, output, errors = run(capsys, "commit", "web")
    assert (code, errors) == (
        0, "unionfs: warning: /socket is a socket, which a layer can't hold; it is left out\n"
    )  # fmt: skip
    assert str(Digest.parse(output.strip())) == output.strip()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing"], 1, "no such upper: nothing"),
        (["../x"], 1, "invalid name of an upper"),
        (["web", "Upper:1"], 1, "must be lowercase"),
        (["web", f"x@sha256:{'0' * 64}"], 2, "has a digest"),
        (["-c", "RUN x", "web"], 1, "RUN is none of"),
        (["-c", "EXPOSE 99999", "web"], 1, "invalid change"),
        ([], 2, "Missing argument"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_and_changes_nothing(
    root: Path, capsys: Captured, words: list[str], code: int, said: str
) -> None:
    make_upper(root, "web", "demo:1", steps("create new"))
    with Store(root) as store:
        before = content(store), store.catalogue()
        found, output, errors = run(capsys, "commit", *words)
        assert (content(store), store.catalogue()) == before
    assert (found, output, errors.count("\n")) == (code, "", 1)
    assert said in errors


def test_an_upper_that_keeps_changing_is_read_again_and_then_refused(
    root: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reading meets a file that went after it was listed."""
    make_upper(root, "web", "demo:1", steps("create log"))
    log = root / "uppers/web/upper/log"
    attempts = 0

    def write(changes: Sequence[Change], now: View, sink: Sink) -> list[str]:
        nonlocal attempts
        attempts += 1
        log.unlink(missing_ok=True)
        try:
            return write_changes(changes, now, sink)
        finally:
            log.touch()

    monkeypatch.setattr(new_image, "write_changes", write)
    with Store(root) as store:
        before = content(store)
        code, output, errors = run(capsys, "commit", "web")
        assert content(store) == before
    assert (code, output, attempts) == (1, "", 3)
    assert errors == (
        "unionfs: error: /log was changed while it was read; stop what is writing to it, and commit again\n"
    )


def test_an_image_without_layers_gets_its_first_one(root: Path, capsys: Captured) -> None:
    fill(root, [], "scratched")
    make_upper(root, "first", "scratched", steps("create new"))
    assert printed(capsys, "diff", "first") == ["A /new"]
    printed(capsys, "commit", "first", "one")
    assert len(image(root, "one").config.diff_ids) == 1
    assert printed(capsys, "diff", "one") == ["A /new"]


def test_the_time_of_its_making_can_be_told(root: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    make_upper(root, "web", "demo:1", steps("create new"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    (first,) = printed(capsys, "commit", "web", "first")
    (second,) = printed(capsys, "commit", "web", "second")
    assert first == second
    assert image(root, "first").config.created == "1970-01-02T00:00:00.000000Z"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert run(capsys, "commit", "web")[0] == 2
