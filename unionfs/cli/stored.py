"""What commands on stored images share: finding the image that a user means, and saying which are damaged."""

from unionfs.archive.source import TRANSPORTS
from unionfs.cli.images import opened_image
from unionfs.cli.notices import warn
from unionfs.store.images import Catalogue, StoredImage
from unionfs.store.store import Store


def found(store: Store, argument: str) -> StoredImage:
    """Give the image that *argument* means: one of the store, or one in a file, which then is in the store too.

    Raises:
        StoreError, ImageError, ArchiveError, OSError: there is no such image, or it can't be read or stored.
    """
    if not argument.startswith(TRANSPORTS):
        return store.find(argument)
    with opened_image(store, argument) as stacked:
        return store.by_manifest(stacked.use.manifest.digest)


def warn_of_damage(catalogue: Catalogue) -> None:
    """Name the images that can't be read."""
    for image in catalogue.damaged:
        called = ", ".join(name.familiar for name in image.names) or image.descriptor.digest.hex[:12]
        warn(f"the image {called} is damaged: {image.reason}; 'unionfs check --repair' removes it")
