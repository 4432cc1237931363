"""Images that are made in the store: a new layer on those that there are."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store import images
from tests.store.test_store import ONE, TWO, content, load
from tests.tarball import archive, file, whiteout
from unionfs.image import Digest
from unionfs.image.new_config import Step, derived
from unionfs.store import StoreError
from unionfs.store.commit import add_image, writing_layer
from unionfs.store.store import Store
from unionfs.tar.writer import Sink

STEP = Step(created="2024-01-02T03:04:05Z", created_by="test")
NEW = archive(file(b"new", b"content"), whiteout(b"gone"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as made:
        load(made, images.layout(tmp_path / "demo", images.BOTTOM, images.MIDDLE), ONE)
        yield made


def write(sink: Sink) -> None:
    for start in range(0, len(NEW), 700):
        sink.write(NEW[start : start + 700])


def add(store: Store) -> None:
    """Have the image with the new layer."""
    with store.using(), writing_layer(store, write) as layer:
        parent = store.open(store.find(str(ONE)))
        add_image(store, derived(parent.config, STEP, layer.diff_id), parent.layers, layer, [TWO])


def test_a_new_layer_is_put_on_those_that_there_are(store: Store) -> None:
    before = content(store)
    with store.using():
        parent = store.open(store.find(str(ONE)))
        with writing_layer(store, write) as layer:
            add_image(store, derived(parent.config, STEP, layer.diff_id), parent.layers, layer, [TWO])
        assert layer.diff_id == Digest.of(NEW)
        stacked = store.stack(store.find(str(TWO)))
    after = content(store)
    assert before.items() <= after.items()
    assert len(after) == len(before) + 4  # a blob and its directory, a config, a manifest
    assert (stacked.layers[-1] / "new").read_bytes() == b"content"
    assert stacked.image.layers[:-1] == parent.layers
    assert list((store.path / "ingest").iterdir()) == []


def test_the_same_layer_has_the_same_blob_and_is_no_second_one(store: Store) -> None:
    add(store)
    before = content(store)
    add(store)
    assert content(store).keys() == before.keys()


def test_a_layer_that_no_image_keeps_is_gone(store: Store) -> None:
    before = content(store)
    with store.using(), writing_layer(store, write):
        pass
    assert content(store) == before
    assert list((store.path / "ingest").iterdir()) == []


def climbing(sink: Sink) -> None:
    sink.write(archive(file(b"../x")))


def test_a_layer_that_cant_be_unpacked_changes_nothing(store: Store) -> None:
    before = content(store)
    with store.using(), writing_layer(store, climbing) as layer:
        parent = store.open(store.find(str(ONE)))
        config = derived(parent.config, STEP, layer.diff_id)
        with pytest.raises(StoreError, match="above the root"):
            add_image(store, config, parent.layers, layer, [TWO])
    assert content(store) == before
    assert [image.names for image in store.catalogue().images] == [(ONE,)]


def test_an_image_without_a_new_layer_has_only_a_config_and_a_manifest_of_its_own(store: Store) -> None:
    before = content(store)
    with store.using():
        parent = store.open(store.find(str(ONE)))
        add_image(store, derived(parent.config, STEP, None, ["USER nobody"]), parent.layers, None, [TWO])
    assert len(content(store)) == len(before) + 2
    assert store.find(str(TWO)).config.diff_ids == parent.config.diff_ids


def test_nothing_stays_of_a_layer_whose_writing_failed(store: Store) -> None:
    def fail(sink: Sink) -> None:
        sink.write(b"some")
        raise LookupError

    before = content(store)
    with store.using(), pytest.raises(LookupError), writing_layer(store, fail):
        pass
    assert content(store) == before
    assert list((store.path / "ingest").iterdir()) == []


def test_other_programs_read_the_image(store: Store, tmp_path: Path) -> None:
    add(store)
    subprocess.run(
        ["skopeo", "copy", f"oci:{store.path}:{TWO}", f"oci:{tmp_path}/out:x"], check=True, stdout=subprocess.DEVNULL
    )
    subprocess.run(["umoci", "unpack", "--image", f"{tmp_path}/out:x", tmp_path / "bundle"], check=True)
    assert (tmp_path / "bundle/rootfs/new").read_bytes() == b"content"


def test_the_image_of_an_upper_is_found_when_it_has_no_entry_any_more(store: Store) -> None:
    with store.using():
        stacked = store.stack(store.find(str(ONE)))
        store.uppers.make("kept", stacked.use, stacked.lowers[0])
    store.drop(store.find(str(ONE)))
    store.collect()
    with store.using():
        assert store.image_of(store.uppers.require("kept").use).id == stacked.use.id
