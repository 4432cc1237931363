"""The store after a kill at every change that a command makes in it.

Whatever was there before is there, or what the command makes of it; every image that shows is whole; and when what
nothing leads to has been collected, nothing is left over.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.tracing import Traced
from tests.image.documents import sha256
from tests.store import images
from unionfs.archive import open_archive
from unionfs.image import Reference
from unionfs.image.layout import blob_path
from unionfs.store.store import Store

ONE, TWO = Reference.parse("one:1"), Reference.parse("two:2")
Act = Callable[[Store], None]
Shown = dict[str, set[str]]
"""The names of each image, by the digest of its manifest."""


def load_another(store: Store) -> None:
    with open_archive(store.path.parent / "more") as source:
        store.load(source.image(), [TWO])


def take_over_the_name(store: Store) -> None:
    with open_archive(store.path.parent / "more") as source:
        store.load(source.image(), [ONE])


def tag(store: Store) -> None:
    store.tag(store.find("one:1"), [TWO])


def remove(store: Store) -> None:
    store.untag([ONE], keeping=False)
    store.collect()


def make_an_upper(store: Store) -> None:
    with store.using():
        stacked = store.stack(store.find("one:1"))
        store.uppers.make("web", stacked.use, stacked.lowers[0])


def record_a_mount(store: Store) -> None:
    with store.using():
        stacked = store.stack(store.find("one:1"))
        store.mounts.begin(stacked.use, "/mnt", temporary_over=stacked.lowers[0]).end()


@pytest.mark.parametrize(
    "act", [load_another, take_over_the_name, tag, remove, make_an_upper, record_a_mount], ids=lambda act: act.__name__
)
def test_a_kill_at_any_change_leaves_the_old_or_the_new_and_nothing_to_waste(tmp_path: Path, act: Act) -> None:
    template = tmp_path / "template"
    images.layout(tmp_path / "image", images.BOTTOM, images.MIDDLE)
    images.layout(tmp_path / "more", images.BOTTOM, images.TOP)
    with Store(template) as store, open_archive(tmp_path / "image") as source:
        store.load(source.image(), [ONE])
    old = shown(template)
    changes = undisturbed(tmp_path, act)
    new = shown(tmp_path / "store")
    for number in range(1, changes + 1):
        after_the_kill(tmp_path, act, number)
        assert shown(tmp_path / "store") in (old, new), f"killed after change {number}"
        check_nothing_is_wasted(tmp_path / "store")
        with Store(tmp_path / "store") as store:
            if shown(store.path) == old != new:
                act(store)
        assert shown(tmp_path / "store") == new, f"killed after change {number}, and tried again"


def undisturbed(top: Path, act: Act) -> int:
    """Give the number of changes that the command makes."""
    return sum(1 for _ in changing(top, act))


def after_the_kill(top: Path, act: Act, number: int) -> None:
    """Kill the command when it has made that many changes, or, where a thread was quicker this time, at its end."""
    for place, _ in enumerate(changing(top, act), start=1):
        if place == number:
            return


def changing(top: Path, act: Act) -> Iterator[None]:
    """Run the command on a new copy of the store, and stop after each change; it is killed when nobody goes on."""
    path = top / "store"
    shutil.rmtree(path, ignore_errors=True)
    subprocess.run(["cp", "-a", top / "template", path], check=True)

    def prepare() -> Callable[[], None]:
        store = Store(path)
        return lambda: act(store)

    with Traced(prepare) as child:
        before = fingerprint(path)
        for _ in child.returns():
            after = fingerprint(path)
            if after != before:
                yield
            before = after


def fingerprint(path: Path) -> set[tuple[str, int, int]]:
    found = set()
    for directory, names, files in os.walk(path):
        for name in names + files:
            status = os.lstat(os.path.join(directory, name))
            found.add((os.path.join(directory, name), status.st_ino, status.st_size))
    return found


def shown(path: Path) -> Shown:
    """Give the images, after checking that each is whole."""
    with Store(path) as store, store.using():
        catalogue = store.catalogue()
        assert catalogue.damaged == ()
        for image in catalogue.images:
            stacked = store.stack(image)
            assert all(layer.is_dir() for layer in stacked.layers)
            for layer in image.manifest.layers:
                assert sha256((path / blob_path(layer.digest)).read_bytes()) == str(layer.digest)
        return {str(image.manifest_digest): set(map(str, image.names)) for image in catalogue.images}


def check_nothing_is_wasted(path: Path) -> None:
    with Store(path) as store:
        store.collect()
        catalogue = store.catalogue()
        kept = {image.manifest_digest for image in catalogue.images} | {image.id for image in catalogue.images}
        kept |= {layer.digest for image in catalogue.images for layer in image.manifest.layers}
        chains = {f"{c.algorithm}-{c.hex}" for image in catalogue.images for c in image.config.chain_ids}
        assert {digest for digest, _ in store.blobs} == kept
        assert {name for name in os.listdir(path / "layers") if name != ".lock"} == chains
        assert os.listdir(path / "ingest") == os.listdir(path / "mounts") == []
