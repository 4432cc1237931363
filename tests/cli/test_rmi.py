"""``unionfs tag``, ``rmi`` and ``prune``: names come and go, and images with them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.stored import Captured, fill, printed, run
from tests.image.documents import sha256
from tests.store.images import BOTTOM, MIDDLE, TOP, chain_ids
from unionfs.cli import main
from unionfs.store.store import Store


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "store"
    monkeypatch.setenv("UNIONFS_ROOT", str(path))
    return path


@contextmanager
def mounted(root: Path, argument: str) -> Iterator[None]:
    """Have an image be used as a mount uses it."""
    with Store(root) as store:
        with store.using():
            mount = store.mounts.begin(store.stack(store.find(argument)).use, "/mnt/here")
        try:
            yield
        finally:
            mount.end()


def names(captured: Captured) -> list[str]:
    return sorted(printed(captured, "images", "--format", "{{.Repository}}:{{.Tag}}"))


def content(root: Path) -> list[str]:
    return sorted(name for top in ("blobs/sha256", "layers") for name in os.listdir(root / top) if name[0] != ".")


def test_an_image_gets_further_names(root: Path, capsys: Captured) -> None:
    image = fill(root, [BOTTOM], "app:1")
    assert printed(capsys, "tag", "app:1", "app", "localhost:5000/x/app:2") == []
    assert names(capsys) == ["app:1", "app:latest", "localhost:5000/x/app:2"]
    assert printed(capsys, "images", "-q", "--no-trunc") == [image]


def test_a_name_goes_to_the_image_that_gets_it_last(root: Path, capsys: Captured) -> None:
    first = fill(root, [BOTTOM], "app:1")
    second = fill(root, [TOP], "app:2")
    assert printed(capsys, "tag", second, "app:1") == []
    assert printed(capsys, "inspect", "-f", "{{.Id}} {{.RepoTags}}", "app:1", first) == [
        f"{second} [app:2 app:1]",
        f"{first} []",
    ]


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["app:1", "Bad:1"], 1, "must be lowercase"),
        (["app:1", "good:1", "bad:"], 1, "invalid reference format"),
        (["app:1", "x@sha256:" + "0" * 64], 2, "has a digest, so it can't be given to an image"),
        (["nope", "good:1"], 1, 'no such image: "nope"'),
        (["app:1"], 2, "Missing argument"),
    ],
)
def test_what_is_wrong_with_one_name_leaves_all_as_they_are(
    root: Path, words: list[str], code: int, reason: str, capsys: Captured
) -> None:
    fill(root, [BOTTOM], "app:1")
    found = run(capsys, "tag", *words)
    assert found[:2] == (code, "")
    assert reason in found[2]
    assert names(capsys) == ["app:1"]


def test_a_name_among_several_is_taken_away_alone(root: Path, capsys: Captured) -> None:
    fill(root, [BOTTOM], "app:1", "app:2")
    before = content(root)
    assert printed(capsys, "rmi", "app:1") == ["Untagged: app:1"]
    assert (names(capsys), content(root)) == (["app:2"], before)


def test_an_image_goes_with_its_last_name(root: Path, capsys: Captured) -> None:
    image = fill(root, [BOTTOM, TOP], "app:1")
    chains = chain_ids(BOTTOM, TOP)
    assert printed(capsys, "rmi", "app:1") == [
        "Untagged: app:1",
        f"Deleted: {image}",
        f"Deleted: sha256:{chains[1]}",
        f"Deleted: sha256:{chains[0]}",
    ]
    assert (names(capsys), content(root)) == ([], [])


def test_layers_that_another_image_needs_stay(root: Path, capsys: Captured) -> None:
    image = fill(root, [BOTTOM, TOP], "app:1")
    fill(root, [BOTTOM], "base:1")
    assert printed(capsys, "rmi", "app:1")[1:] == [f"Deleted: {image}", f"Deleted: sha256:{chain_ids(BOTTOM, TOP)[1]}"]
    assert names(capsys) == ["base:1"]
    assert sha256(BOTTOM).removeprefix("sha256:") in content(root)


def test_an_id_takes_all_names_of_one_repository(root: Path, capsys: Captured) -> None:
    image = fill(root, [BOTTOM], "app:1", "app:2")
    assert printed(capsys, "rmi", image.removeprefix("sha256:")[:12])[:3] == [
        "Untagged: app:1",
        "Untagged: app:2",
        f"Deleted: {image}",
    ]
    assert content(root) == []


def test_an_id_with_names_of_several_repositories_wants_force(root: Path, capsys: Captured) -> None:
    image = fill(root, [BOTTOM], "app:1", "other:2")
    code, output, errors = run(capsys, "rmi", image)
    assert (code, output) == (1, "")
    assert "has several names (app:1, other:2)" in errors
    assert names(capsys) == ["app:1", "other:2"]
    assert f"Deleted: {image}" in printed(capsys, "rmi", "-f", image)
    assert content(root) == []


def test_what_is_mounted_stays_and_is_named(root: Path, capsys: Captured) -> None:
    fill(root, [BOTTOM], "app:1", "app:2")
    with mounted(root, "app:1"):
        assert printed(capsys, "rmi", "app:2") == ["Untagged: app:2"]
        code, output, errors = run(capsys, "rmi", "app:1")
        assert (code, output) == (1, "")
        assert "app:1 is mounted at /mnt/here" in errors
        assert names(capsys) == ["app:1"]


def test_by_force_its_name_goes_and_its_content_with_the_mount(root: Path, capsys: Captured) -> None:
    fill(root, [BOTTOM], "app:1")
    before = content(root)
    with mounted(root, "app:1"):
        assert printed(capsys, "rmi", "-f", "app:1") == ["Untagged: app:1"]
        assert (names(capsys), content(root)) == ([], before)
    assert "Removed 0 images, 3 blobs" in printed(capsys, "prune", "-f")[0]
    assert content(root) == []


def test_an_error_about_one_image_leaves_the_others_to_go(root: Path, capsys: Captured) -> None:
    fill(root, [BOTTOM], "app:1")
    code, output, errors = run(capsys, "rmi", "nope", "app:1", "Bad")
    assert code == 1
    assert output.startswith("Untagged: app:1\nDeleted: ")
    assert len(errors.splitlines()) == 2
    assert content(root) == []


def test_prune_removes_images_without_a_name(root: Path, capsys: Captured) -> None:
    fill(root, [BOTTOM], "app:1")
    unnamed = fill(root, [TOP])
    deleted, summary = printed(capsys, "prune", "-f")
    assert deleted == f"Deleted: {unnamed}"
    assert summary.startswith("Removed 1 images, 3 blobs (")
    assert summary.endswith(") and 1 unpacked layers")
    assert names(capsys) == ["app:1"]


def test_prune_all_leaves_what_mounts_and_uppers_use(root: Path, capsys: Captured) -> None:
    fill(root, [BOTTOM], "mounted:1")
    fill(root, [MIDDLE], "upper:1")
    unused = fill(root, [TOP], "unused:1")
    with Store(root) as store, store.using():
        stacked = store.stack(store.find("upper:1"))
        store.uppers.make("work", stacked.use, stacked.lowers[0])
    with mounted(root, "mounted:1"):
        assert printed(capsys, "prune", "--all", "--force")[:2] == ["Untagged: unused:1", f"Deleted: {unused}"]
    assert names(capsys) == ["mounted:1", "upper:1"]


def test_prune_takes_filters(root: Path, capsys: Captured) -> None:
    fill(root, [BOTTOM], "app:1", config={"Labels": {"keep": "yes"}})
    fill(root, [TOP], "app:2", config={"Labels": {"keep": "no"}})
    printed(capsys, "prune", "-a", "-f", "--filter", "label=keep=no")
    assert names(capsys) == ["app:1"]


def test_prune_removes_what_a_killed_process_left(root: Path, capsys: Captured) -> None:
    fill(root, [BOTTOM], "app:1")
    (root / "ingest/0123").write_bytes(b"half of a blob")
    (root / "blobs/sha256" / ("0" * 64)).write_bytes(b"")
    before = content(root)
    assert printed(capsys, "prune", "-f") == ["Removed 0 images, 1 blobs (0B) and 0 unpacked layers"]
    assert content(root) == before[1:]
    assert os.listdir(root / "ingest") == []


def test_prune_asks_where_it_can_and_is_refused_where_it_cannot(root: Path, capsys: Captured) -> None:
    fill(root, [BOTTOM])
    assert main(["prune"]) == 2
    assert "can't be asked without a terminal" in capsys.readouterr().err
    assert names(capsys) == ["<none>:<none>"]
