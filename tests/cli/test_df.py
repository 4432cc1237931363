"""``unionfs df``: what the store takes on disk."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.stored import Captured, as_json, fill, printed
from tests.store.images import BOTTOM, MIDDLE, TOP
from unionfs.store.store import Store
from unionfs.store.usage import taken


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a store with two images that share a layer, one used by an upper, and another one that shares nothing."""
    path = tmp_path / "store"
    monkeypatch.setenv("UNIONFS_ROOT", str(path))
    fill(path, [BOTTOM], "base:1")
    fill(path, [BOTTOM, TOP], "app:1")
    fill(path, [MIDDLE], "other:1")
    with Store(path) as store, store.using():
        stacked = store.stack(store.find("app:1"))
        store.uppers.make("work", stacked.use, stacked.lowers[0])
    return path


def blobs(root: Path) -> int:
    return sum(entry.stat().st_size for entry in os.scandir(root / "blobs/sha256"))


def test_sums_are_of_what_is_there_shared_content_counted_once(root: Path, capsys: Captured) -> None:
    images, layers, uppers = as_json(capsys, "df", "--format", "json")
    assert (images["Type"], images["Total"], images["Active"], images["Bytes"]) == ("Images", 3, 1, blobs(root))
    assert (layers["Type"], layers["Total"], layers["Active"]) == ("Layers", 3, 2)
    assert layers["Bytes"] == sum(taken(path) for path in (root / "layers").glob("sha256-*"))
    assert (uppers["Type"], uppers["Total"], uppers["Active"]) == ("Uppers", 1, 0)
    assert uppers["Bytes"] == uppers["ReclaimableBytes"] > 0


def test_what_is_reclaimable_is_what_prune_reclaims(capsys: Captured) -> None:
    before = as_json(capsys, "df", "--format", "json")
    printed(capsys, "prune", "--all", "--force")
    after = as_json(capsys, "df", "--format", "json")
    for old, new in zip(before[:2], after[:2], strict=True):
        assert new["Bytes"] == old["Bytes"] - old["ReclaimableBytes"]
        assert new["ReclaimableBytes"] == 0


def test_a_table_has_dockers_columns(capsys: Captured) -> None:
    heading, *lines = printed(capsys, "df")
    assert heading.split() == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    assert [line.split()[:3] for line in lines] == [["Images", "3", "1"], ["Layers", "3", "2"], ["Uppers", "1", "0"]]
    assert lines[2].endswith("(100%)")


def test_each_image_tells_what_goes_with_it_alone(capsys: Captured) -> None:
    found = {row["Name"]: row for row in as_json(capsys, "df", "-v", "--format", "json")}
    assert found["app:1"]["Bytes"] - found["app:1"]["UniqueBytes"] == len(BOTTOM)
    assert found["other:1"]["Bytes"] == found["other:1"]["UniqueBytes"]
    assert [name for name, row in found.items() if row["Active"] and row["Type"] == "Image"] == ["app:1"]
    assert {row["Type"] for row in found.values()} == {"Image", "Layer", "Upper"}
    assert found["work"]["Type"] == "Upper"


def test_an_empty_store_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setenv("UNIONFS_ROOT", str(tmp_path / "empty"))
    assert [line.split()[3:] for line in printed(capsys, "df")[1:]] == [["0B", "0B"]] * 3


def test_a_file_with_several_names_is_counted_once(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "a/b").mkdir(parents=True)
    (top / "a/b/file").write_bytes(b"x" * 100_000)
    os.link(top / "a/b/file", top / "again")
    (top / "link").symlink_to("/etc")
    told = subprocess.run(["du", "-s", "--block-size=1", top], capture_output=True, text=True, check=True).stdout
    assert taken(top) == int(told.split()[0])
