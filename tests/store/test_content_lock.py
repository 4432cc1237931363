"""The lock on a store's content, held by a process that comes to need it again, and what a failed load leaves."""

import os
from pathlib import Path

import pytest

from tests.store import images
from tests.store.test_durability import small_disk
from tests.tarball import archive, file
from unionfs.archive import open_archive
from unionfs.image import Reference
from unionfs.store import StoreError
from unionfs.store.store import Store

ONE, TWO = Reference.parse("one:1"), Reference.parse("two:1")

pytestmark = pytest.mark.timeout(30)


class LateError(Exception):
    """What comes between an image's content and its name."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return images.layout(tmp_path / "image", images.BOTTOM, images.TOP)


def content(store: Path) -> set[str]:
    found = {os.path.relpath(os.path.join(top, name), store) for top, _, names in os.walk(store) for name in names}
    return {name for name in found if not name.endswith("lock")}


def fail_while_loading(store: Store, source: Path) -> None:
    def load() -> None:
        with store.loading() as loading:
            loading.take(opened.image(), [ONE])
            raise LateError

    with open_archive(source) as opened, pytest.raises(LateError):
        load()


def test_a_load_that_fails_while_the_store_is_used_does_not_wait_for_itself(tmp_path: Path, source: Path) -> None:
    with Store(tmp_path / "store") as store:
        before = content(store.path)
        with store.using():
            fail_while_loading(store, source)
        assert content(store.path) == before


def test_a_load_that_fails_does_not_wait_for_others(tmp_path: Path, source: Path) -> None:
    with Store(tmp_path / "store") as store, Store(store.path) as other:
        before = content(store.path)
        with other.using():
            fail_while_loading(store, source)
        store.collect()
        assert content(store.path) == before


def test_a_load_that_fails_in_a_damaged_store_says_why_it_failed(tmp_path: Path, source: Path) -> None:
    with Store(tmp_path / "store") as store:
        with open_archive(images.layout(tmp_path / "other", images.MIDDLE)) as opened:
            loaded = store.load(opened.image(), [TWO])
        os.unlink(store.path / "blobs/sha256" / loaded.manifest.digest.hex)
        fail_while_loading(store, source)


def test_who_uses_the_store_can_use_it_once_more_and_not_alone(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        with store.using(), store.using():
            pass
        with store.alone(), store.using(), store.alone():
            pass
        with store.using(), pytest.raises(RuntimeError, match="in use by this process"), store.alone():
            pass
        store.collect()


def test_a_load_that_ends_for_want_of_room_leaves_nothing(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("a small file system is mounted by root alone")
    source = images.layout(tmp_path / "image", images.BOTTOM, archive(file(b"f", os.urandom(20000))))
    with small_disk(tmp_path / "disk", "size=4m") as disk, Store(disk / "store") as store:
        with open_archive(images.layout(tmp_path / "other", images.MIDDLE)) as opened:
            store.load(opened.image(), [TWO])
        before = content(store.path)
        refusals = []
        for room in range(0, 160, 4):
            _leave(disk, room << 10)
            refusal = refused(store, source)
            if not refusal:
                break
            refusals.append(refusal)
            assert content(store.path) == before, room
        assert refusals
        assert all("No space left on device" in refusal for refusal in refusals)
        assert store.find("one:1").names == (ONE,)
        assert store.find("two:1").names == (TWO,)


def refused(store: Store, source: Path) -> str:
    try:
        with open_archive(source) as opened:
            store.load(opened.image(), [ONE])
    except (StoreError, OSError) as error:
        return str(error)
    return ""


def _leave(disk: Path, size: int) -> None:
    """Fill the disk but for *size* bytes."""
    (disk / "filling").unlink(missing_ok=True)
    free = os.statvfs(disk)
    with open(disk / "filling", "wb") as filling:
        os.posix_fallocate(filling.fileno(), 0, max(free.f_bavail * free.f_bsize - size, 1))
