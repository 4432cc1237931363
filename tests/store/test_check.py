"""Checking a store and mending it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store import images
from unionfs.archive import open_archive
from unionfs.image import Reference
from unionfs.image.layout import blob_path
from unionfs.store.check import check, repair
from unionfs.store.store import Store

NAME = Reference.parse("demo:1")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    source = images.layout(tmp_path / "image", images.BOTTOM, images.MIDDLE)
    with Store(tmp_path / "store") as opened, open_archive(source) as archive:
        opened.load(archive.image(), [NAME])
    return tmp_path / "store"


def top_layer(store: Store) -> Path:
    with store.using():
        return store.stack(store.find("demo:1")).lowers[0]


def change_content(store: Store) -> None:
    file = top_layer(store) / "opt/m"
    status = file.stat()
    file.write_bytes(b"X")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def change_mode(store: Store) -> None:
    (top_layer(store) / "opt/m").chmod(0o4755)


def add_a_file(store: Store) -> None:
    (top_layer(store) / "opt/more").touch()


def remove_a_file(store: Store) -> None:
    (top_layer(store) / "opt/m").unlink()


def test_nothing_is_wrong_with_a_new_store(store: Path) -> None:
    with Store(store) as opened:
        assert check(opened) == []
        assert os.listdir(store / "ingest") == []


@pytest.mark.parametrize("change", [change_content, change_mode, add_a_file, remove_a_file], ids=lambda f: f.__name__)
def test_a_layer_that_was_changed_is_found_and_unpacked_again(store: Path, change: Callable[[Store], None]) -> None:
    with Store(store) as opened:
        change(opened)
        found = check(opened)
        assert [(damage.kind, damage.name) for damage in found] == [("layer", str(top_layer(opened)))]
        assert repair(opened, found) == []
        assert (top_layer(opened) / "opt/m").read_bytes() == b"M"
        assert check(opened) == []


def test_a_layer_that_a_mount_uses_is_not_taken_away(store: Path) -> None:
    with Store(store) as opened:
        change_mode(opened)
        with opened.using():
            stacked = opened.stack(opened.find("demo:1"))
            mount = opened.mounts.begin(stacked.use, "/mnt")
        assert [damage.kind for damage in repair(opened, check(opened))] == ["layer"]
        mount.end()
        assert repair(opened, check(opened)) == []


@pytest.mark.parametrize("missing", [False, True])
def test_an_image_with_a_damaged_blob_goes_and_others_stay(store: Path, tmp_path: Path, missing: bool) -> None:
    other = images.layout(tmp_path / "other", images.BOTTOM, images.TOP)
    with Store(store) as opened:
        with open_archive(other) as archive:
            opened.load(archive.image(), [Reference.parse("other:1")])
        blob = store / blob_path(opened.find("demo:1").manifest.layers[1].digest)
        blob.unlink() if missing else blob.write_bytes(blob.read_bytes().replace(b"M", b"N"))
        found = check(opened)
        assert ("image", "demo:1") in [(damage.kind, damage.name) for damage in found]
        assert repair(opened, found) == []
        opened.collect()
        assert [image.shown for image in opened.catalogue().images] == ["other:1"]
        assert check(opened) == []


@pytest.mark.parametrize("part", ["config", "manifest"])
def test_an_image_with_a_damaged_document_is_named_and_goes(store: Path, part: str) -> None:
    with Store(store) as opened:
        image = opened.find("demo:1")
        digest = image.id if part == "config" else image.manifest_digest
        (store / blob_path(digest)).write_bytes(b"{}")
        assert opened.catalogue().damaged[0].names == (NAME,)
        found = check(opened)
        assert repair(opened, found) == []
        opened.collect()
        assert check(opened) == []
        assert os.listdir(store / "blobs/sha256") == []


def test_an_upper_stays_when_its_image_is_damaged(store: Path) -> None:
    with Store(store) as opened:
        with opened.using():
            stacked = opened.stack(opened.find("demo:1"))
            upper = opened.uppers.make("web", stacked.use, stacked.lowers[0])
        (upper.upper / "page").write_bytes(b"page")
        (store / blob_path(opened.find("demo:1").id)).write_bytes(b"{}")
        repair(opened, check(opened))
        opened.collect()
        assert [kept.name for kept in opened.uppers] == ["web"]
        assert (upper.upper / "page").read_bytes() == b"page"


def test_two_that_mend_at_once_do_not_stumble_over_each_other(store: Path) -> None:
    blob = next(iter((store / "blobs/sha256").iterdir()))
    blob.write_bytes(b"x" * blob.stat().st_size)
    command = [sys.executable, "-c", "import sys; from unionfs.cli import main; sys.exit(main())"]
    mend = [*command, "--root", os.fspath(store), "check", "--repair"]
    both = [subprocess.Popen(mend, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[1] for process in both] == [""] * len(both)
    with Store(store) as opened:
        assert check(opened) == []
