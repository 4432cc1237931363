"""The images that commands are given: by a name in the store, or in a file that is named as skopeo names it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from unionfs.archive import Image, open_archive, parse_source
from unionfs.archive.source import TRANSPORTS
from unionfs.cli.notices import say_who_is_waited_for
from unionfs.cli.store_path import store_path
from unionfs.image import Platform, Reference
from unionfs.store.store import StackedImage, Store


@contextmanager
def opened_store(root: Path | None = None) -> Iterator[Store]:
    """Open the store at *root*, by default the user's own."""
    path = root or store_path()
    with Store(path, partial(say_who_is_waited_for, f"using the store {path}")) as store:
        yield store


@contextmanager
def opened_image(store: Store, argument: str, platform: Platform | None = None) -> Iterator[StackedImage]:
    """Give the image that *argument* means, unpacked; what it needs stays in the store meanwhile.

    It is a name or id in the store, or ``docker-archive:FILE[:REF]``, ``oci-archive:FILE[:REF]`` or ``oci:DIR[:REF]``,
    whose image then is in the store without a name.

    Raises:
        StoreError, ImageError, OSError: there is no such image, or it can't be read or stored.
    """
    if argument.startswith(TRANSPORTS):
        with store.using():
            yield _from_file(store, argument, platform)
        return
    with store.using():
        yield store.stack(store.find(argument), argument)


def _from_file(store: Store, argument: str, platform: Platform | None) -> StackedImage:
    path, selector = parse_source(argument)
    with open_archive(path, spool=store.spool) as source:
        image = source.image(selector, platform)
        loaded = store.load(image, ())
    return store.stack(store.by_manifest(loaded.manifest.digest), argument)


def names_of(image: Image) -> tuple[Reference, ...]:
    """Give the names that an image has in its archive and can have in a store: nobody can choose its digest."""
    references = [replace(Reference.parse(name), digest=None) for name in image.names]
    return tuple(reference for reference in dict.fromkeys(references) if reference.tag is not None)
