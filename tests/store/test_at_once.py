"""Several processes at one store: nobody loses what is another's, and nobody sees half of anything."""

import multiprocessing
import os
from pathlib import Path

import pytest

from tests.store import images
from tests.tarball import archive, file
from unionfs.archive import open_archive
from unionfs.image import Reference
from unionfs.store.store import Store

ROUNDS = 12
NAMES = [Reference.parse(f"image{number}:1") for number in range(3)]


def load_and_remove(store: Path, source: Path, name: Reference) -> None:
    """Load an image again and again, use it, and remove it but for the last time."""
    for turn in range(ROUNDS):
        with Store(store) as opened:
            with open_archive(source) as archived:
                opened.load(archived.image(), [name])
            with opened.using():
                stacked = opened.stack(opened.find(str(name)))
                content = (stacked.lowers[0] / "own").read_bytes()
                assert content == name.path.encode(), content
                mount = opened.mounts.begin(stacked.use, "/mnt", temporary_over=stacked.lowers[0])
            assert stacked.lowers[-1].is_dir()
            mount.end()
            if turn < ROUNDS - 1:
                opened.untag([name], keeping=False)
                opened.collect()


def tag_and_untag(store: Path, name: Reference) -> None:
    """Give the image that stays another name, and take it away, but for the last time."""
    for turn in range(4 * ROUNDS):
        with Store(store) as opened:
            opened.tag(opened.find("stays:1"), [name])
            if turn < 4 * ROUNDS - 1:
                opened.untag([name], keeping=False)


def collect(store: Path) -> None:
    for _ in range(2 * ROUNDS):
        with Store(store) as opened:
            opened.collect()


@pytest.mark.timeout(120)
def test_processes_that_load_tag_mount_and_prune_at_once_lose_nothing(tmp_path: Path) -> None:
    store = tmp_path / "store"
    stays = images.layout(tmp_path / "stays", images.BOTTOM)
    with Store(store) as opened, open_archive(stays) as source:
        opened.load(source.image(), [Reference.parse("stays:1")])
    fork = multiprocessing.get_context("fork")
    tags = [Reference.parse(f"tag:{number}") for number in range(2)]
    processes = [fork.Process(target=tag_and_untag, args=(store, name)) for name in tags]
    processes.append(fork.Process(target=collect, args=(store,)))
    for name in NAMES:
        own = archive(file(b"own", name.path.encode()))
        made = images.layout(tmp_path / name.path.replace("/", "-"), images.BOTTOM, own)
        processes.append(fork.Process(target=load_and_remove, args=(store, made, name)))
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(processes)
    with Store(store) as opened:
        opened.collect()
        catalogue = opened.catalogue()
        assert catalogue.damaged == ()
        names = {name for image in catalogue.images for name in image.names}
        assert names == {*NAMES, *tags, Reference.parse("stays:1")}
        with opened.using():
            assert all(opened.stack(image).lowers[-1].joinpath("etc/a").exists() for image in catalogue.images)
    assert os.listdir(store / "ingest") == os.listdir(store / "mounts") == []
