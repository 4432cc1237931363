"""Records of mounts while other processes look at them."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.store import images
from unionfs.archive import open_archive
from unionfs.image import Reference
from unionfs.store.store import StackedImage, Store

NAME = Reference.parse("demo:1")


def stacked(store: Store, top: Path) -> StackedImage:
    with open_archive(images.layout(top / "image", images.BOTTOM)) as source:
        store.load(source.image(), [NAME])
    with store.using():
        return store.stack(store.find("demo:1"))


def test_a_mount_begins_while_others_ask_which_there_are(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        image = stacked(store, tmp_path)
        over = threading.Event()

        def ask() -> int:
            times = 0
            with Store(store.path) as other:
                while not over.is_set():
                    other.mounted()
                    times += 1
            return times

        with ThreadPoolExecutor(2) as threads:
            asking = [threads.submit(ask) for _ in range(2)]
            try:
                for _ in range(300):
                    with store.using():
                        mount = store.mounts.begin(image.use, "/mnt")
                    mount.end()
            finally:
                over.set()
            assert min(future.result() for future in asking) > 0


def test_two_that_make_the_same_upper_at_once_get_the_same(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store, store.using():
        image = stacked(store, tmp_path)
        first = store.uppers.make("web", image.use, image.lowers[0])
        (first.upper / "page").touch()
        assert store.uppers.make("web", image.use, image.lowers[0]) == first
        assert os.listdir(first.upper) == ["page"]
        assert os.listdir(store.path / "ingest") == []
