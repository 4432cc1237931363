"""The store: what comes in, under which names, what goes, and that other programs read it."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.documents import sha256
from tests.store import images
from tests.tarball import archive, file
from unionfs.archive import open_archive
from unionfs.image import Reference
from unionfs.store import StoreError
from unionfs.store.store import Store

ONE = Reference.parse("demo:1")
TWO = Reference.parse("localhost:5000/other:2")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as made:
        yield made


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    return images.layout(
        tmp_path / "demo", images.BOTTOM, images.MIDDLE, blobs=images.compressed([images.BOTTOM, images.MIDDLE])
    )


def load(store: Store, source: Path, *names: Reference) -> None:
    with open_archive(source) as opened:
        store.load(opened.image(), names)


def content(store: Store) -> dict[str, int]:
    """Give the inode number of every blob and layer."""
    tops = [store.path / "blobs/sha256", store.path / "layers"]
    return {entry.name: entry.inode() for top in tops for entry in os.scandir(top) if not entry.name.startswith(".")}


def test_an_image_that_was_loaded_is_found_by_name_and_by_the_beginning_of_its_id(store: Store, demo: Path) -> None:
    load(store, demo, ONE)
    found = store.find("demo:1")
    assert found.names == (ONE,)
    assert store.find("docker.io/library/demo:1") == store.find(str(found.id)) == store.find(found.id.hex[:5]) == found
    assert store.find(str(found.manifest_digest)) == found
    assert store.find(f"demo@{found.manifest_digest}") == found


def test_a_short_name_finds_what_podman_named_on_this_machine(store: Store, demo: Path) -> None:
    load(store, demo, Reference.parse("localhost/demo:1"))
    assert store.find("demo:1").names == (Reference.parse("localhost/demo:1"),)
    load(store, demo, ONE)
    assert ONE in store.find("demo:1").names


@pytest.mark.parametrize("argument", ["demo", "demo:2", "ffffffffffff", "x/demo:1"])
def test_what_is_not_there_is_named(store: Store, demo: Path, argument: str) -> None:
    load(store, demo, ONE)
    with pytest.raises(StoreError, match=f'no such image: "{argument}"'):
        store.find(argument)


def test_an_id_that_begins_like_another_is_ambiguous(store: Store, tmp_path: Path) -> None:
    for number in range(17):
        load(store, images.layout(tmp_path / f"{number}", archive(file(b"f", b"%d" % number))))
    first = [image.id.hex[0] for image in store.catalogue().images]
    twice = next(digit for digit in first if first.count(digit) > 1)
    with pytest.raises(StoreError, match="is ambiguous"):
        store.find(twice)


def test_the_store_is_a_layout_that_skopeo_reads(store: Store, demo: Path) -> None:
    load(store, demo, ONE)
    seen = subprocess.run(
        ["skopeo", "inspect", "--raw", f"oci:{store.path}:{ONE}"], capture_output=True, check=True
    ).stdout
    assert json.loads(seen)["layers"] == [layer.as_json() for layer in store.find("demo:1").manifest.layers]


def test_loading_an_image_again_writes_nothing(store: Store, demo: Path) -> None:
    load(store, demo, ONE)
    before = content(store)
    load(store, demo, ONE)
    assert content(store) == before
    assert len(store.catalogue().images) == 1


def test_manifest_and_config_stay_as_they_came(store: Store, demo: Path) -> None:
    load(store, demo, ONE)
    with open_archive(demo) as opened:
        image = opened.image()
    found = store.find("demo:1")
    assert (found.manifest_digest, found.id) == (image.manifest_digest, image.config_digest)


def test_a_name_that_another_image_gets_leaves_the_first_without_it(store: Store, demo: Path, tmp_path: Path) -> None:
    load(store, demo, ONE)
    first = store.find("demo:1")
    load(store, images.layout(tmp_path / "next", images.TOP), ONE)
    assert store.find("demo:1").id != first.id
    assert store.find(str(first.id)).names == ()


def test_a_name_among_several_is_taken_away_alone(store: Store, demo: Path) -> None:
    load(store, demo, ONE)
    store.tag(store.find("demo:1"), [TWO])
    before = content(store)
    store.untag([ONE], keeping=False)
    store.collect()
    assert store.find("localhost:5000/other:2").names == (TWO,)
    assert content(store) == before


def test_tagging_with_a_name_that_the_image_has_changes_nothing(store: Store, demo: Path) -> None:
    load(store, demo, ONE)
    before = (store.path / "index.json").read_bytes()
    store.tag(store.find("demo:1"), [ONE])
    assert (store.path / "index.json").read_bytes() == before


def test_an_image_goes_with_its_last_name(store: Store, demo: Path) -> None:
    load(store, demo, ONE)
    store.untag([ONE], keeping=False)
    removed = store.collect()
    assert (len(removed.blobs), len(removed.layers)) == (4, 2)
    assert content(store) == {}


def test_an_image_that_got_a_name_since_it_was_looked_up_stays(store: Store, demo: Path) -> None:
    load(store, demo)
    looked_up = store.find(store.catalogue().images[0].id.hex)
    store.tag(looked_up, [ONE])
    assert not store.drop(looked_up)
    assert store.find("demo:1").names == (ONE,)
    assert store.drop(store.find("demo:1"))
    assert store.catalogue().images == ()


def test_layers_that_another_image_has_stay(store: Store, demo: Path, tmp_path: Path) -> None:
    load(store, demo, ONE)
    load(store, images.layout(tmp_path / "more", images.BOTTOM, images.TOP), TWO)
    store.untag([ONE], keeping=False)
    assert len(store.collect().layers) == 1
    with store.using():
        stacked = store.stack(store.find(str(TWO)))
    assert [layer.is_dir() for layer in stacked.layers] == [True, True]


def test_a_layer_that_lacks_is_unpacked_when_it_is_needed(store: Store, demo: Path) -> None:
    load(store, demo, ONE)
    with store.using():
        top = store.stack(store.find("demo:1")).lowers[0]
        subprocess.run(["rm", "-r", top], check=True)
        assert (store.stack(store.find("demo:1")).lowers[0] / "opt/m").read_bytes() == b"M"


def test_an_image_whose_layer_is_damaged_leaves_nothing(store: Store, tmp_path: Path) -> None:
    source = images.layout(tmp_path / "bad", images.BOTTOM, images.MIDDLE)
    blob = source / "blobs/sha256" / sha256(images.MIDDLE).removeprefix("sha256:")
    blob.write_bytes(blob.read_bytes().replace(b"M", b"N"))
    with pytest.raises(StoreError):
        load(store, source, ONE)
    assert content(store) == {}
    assert store.catalogue().images == ()


def test_a_damaged_blob_is_refused_where_its_layer_is_there_already(store: Store, demo: Path, tmp_path: Path) -> None:
    load(store, demo, ONE)
    before = content(store)
    source = images.layout(tmp_path / "bad", images.BOTTOM, images.MIDDLE)
    blob = source / "blobs/sha256" / sha256(images.MIDDLE).removeprefix("sha256:")
    blob.write_bytes(blob.read_bytes().replace(b"M", b"N"))
    with pytest.raises(StoreError, match="digest"):
        load(store, source, TWO)
    assert content(store) == before


def test_what_a_mount_needs_stays_until_it_ends(store: Store, demo: Path) -> None:
    load(store, demo, ONE)
    with store.using():
        stacked = store.stack(store.find("demo:1"))
        mount = store.mounts.begin(stacked.use, "/mnt", temporary_over=stacked.lowers[0])
    store.untag([ONE], keeping=False)
    store.collect()
    assert [layer.is_dir() for layer in stacked.layers] == [True, True]
    assert [in_use.mountpoint for in_use in store.mounted()] == ["/mnt"]
    mount.end()
    store.collect()
    assert content(store) == {}
    assert os.listdir(store.path / "mounts") == []


def test_what_a_killed_mount_has_left_is_swept(store: Store, demo: Path) -> None:
    load(store, demo, ONE)
    child = os.fork()
    if child == 0:
        with store.using():
            stacked = store.stack(store.find("demo:1"))
            store.mounts.begin(stacked.use, "/mnt", temporary_over=stacked.lowers[0])
        os._exit(0)
    os.waitpid(child, 0)
    assert len(os.listdir(store.path / "mounts")) == 1
    assert store.mounted() == ()
    store.collect()
    assert os.listdir(store.path / "mounts") == []


def test_an_upper_with_a_name_keeps_its_image(store: Store, demo: Path) -> None:
    load(store, demo, ONE)
    with store.using():
        stacked = store.stack(store.find("demo:1"))
        upper = store.uppers.make("work", stacked.use, stacked.lowers[0])
    store.untag([ONE], keeping=False)
    before = content(store)
    store.collect()
    assert content(store) == before
    assert [found.name for found in store.uppers] == ["work"]
    with store.using():
        store.uppers.remove(upper)
    store.collect()
    assert content(store) == {}


def test_the_root_of_a_new_upper_shows_what_the_root_beneath_does(store: Store, tmp_path: Path) -> None:
    load(store, images.layout(tmp_path / "image", images.BOTTOM), ONE)
    with store.using():
        stacked = store.stack(store.find("demo:1"))
        upper = store.uppers.make("work", stacked.use, stacked.lowers[0])
    beneath, above = stacked.lowers[0].stat(), upper.upper.stat()
    assert (above.st_mode, above.st_uid, above.st_mtime_ns) == (beneath.st_mode, beneath.st_uid, beneath.st_mtime_ns)


def test_a_directory_that_holds_something_else_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="is not a store of images"):
        Store(tmp_path)
    assert os.listdir(tmp_path) == ["file"]


def test_others_may_not_enter_the_store(store: Store, demo: Path) -> None:
    load(store, demo, ONE)
    assert store.path.stat().st_mode & 0o077 == 0
    assert [path for path in (store.path / "blobs").rglob("*") if path.stat().st_mode & 0o077] == []


def written() -> int:
    """Give the bytes that this process, and those that it has waited for, have written."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar:"))


def test_what_is_spooled_in_the_store_is_not_written_twice(store: Store, tmp_path: Path) -> None:
    """A compressed archive is read once, into files that become the blobs."""
    large = archive(file(b"large", os.urandom(2 << 20)))
    source = images.layout(tmp_path / "image", large)
    subprocess.run(["tar", "-C", source, "-czf", tmp_path / "image.tar.gz", "."], check=True)
    before = written()
    with open_archive(tmp_path / "image.tar.gz", spool=store.spool) as opened:
        store.load(opened.image(), [ONE])
    after = written()
    assert sha256(large).removeprefix("sha256:") in content(store)
    assert after - before < 2 * len(large) + (1 << 20)
    assert os.listdir(store.spool) == []
