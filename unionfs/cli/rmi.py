"""``unionfs rmi``: images go, or names of them."""

from collections.abc import Sequence

import click

from unionfs.cli.click_command import run
from unionfs.cli.images import opened_store
from unionfs.cli.notices import fail
from unionfs.image import ImageError, Reference
from unionfs.store import StoreError
from unionfs.store.garbage import Removed
from unionfs.store.images import StoredImage
from unionfs.store.store import Store
from unionfs.store.unpacked import layer_name

_HELP = """\
Remove each IMAGE, a name or an id in the store. A name of an image that has others is taken from it alone; the image
goes with its last one, and with it all content that no other image, upper or mount needs.

What a mount uses isn't removed. If there is no such image, or it can't be removed, the others are nevertheless, and the
exit code is 1.
"""


def main(arguments: Sequence[str]) -> int:
    """Remove images as *arguments* say; raises UsageError, and what opening the store and collecting raise."""
    return run(_command, arguments)


@click.command("rmi", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option(
    "-f",
    "--force",
    is_flag=True,
    help="Take away all names also where an id is given, and also those of an image that a mount uses, whose content "
    "stays until the mount ends.",
)
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(images: tuple[str, ...], *, force: bool) -> int:
    gone: list[StoredImage] = []
    failed = 0
    with opened_store() as store:
        for argument in images:
            try:
                gone += _remove(store, argument, force=force)
            except (StoreError, ImageError) as error:
                fail(error)
                failed += 1
        if gone:
            _tell(gone, store.collect())
    return 1 if failed else 0


def _remove(store: Store, argument: str, *, force: bool) -> list[StoredImage]:
    """Take a name, or an image with all its names, out of the index; give the image if it went."""
    image = store.find(argument)
    names = _meant(image, argument)
    goes = set(names) == set(image.names)
    if goes and not force:
        _refuse_used(store, image)
        if len({name.repository for name in names}) > 1:
            called = ", ".join(name.familiar for name in names)
            raise StoreError(f"{argument} has several names ({called}); name one of them, or take all away by --force")
    if goes and not store.drop(image):
        raise StoreError(f"{argument} was given another name, or lost one, meanwhile: nothing is removed")
    if not goes:
        store.untag(names, keeping=False)
    for name in names:
        print(f"Untagged: {name.familiar}")
    return [image] if goes else []


def _meant(image: StoredImage, argument: str) -> tuple[Reference, ...]:
    """Give the one name that *argument* is, or all of an image that is meant by its id or digest."""
    try:
        reference = Reference.parse(argument)
    except ImageError:
        return image.names
    return (reference,) if reference in image.names else image.names


def _refuse_used(store: Store, image: StoredImage) -> None:
    places = [mount.mountpoint for mount in store.mounted() if mount.use.manifest.digest == image.manifest_digest]
    if places:
        raise StoreError(f"{image.shown} is mounted at {', '.join(places)}; unmount it, or take its names by --force")


def _tell(images: Sequence[StoredImage], removed: Removed) -> None:
    """Print what went, layers from the top."""
    layers = set(removed.layers)
    for image in images:
        if image.id in removed.blobs:
            print(f"Deleted: {image.id}")
        for chain_id in reversed(image.config.chain_ids):
            if layer_name(chain_id) in layers:
                layers.discard(layer_name(chain_id))
                print(f"Deleted: {chain_id}")
