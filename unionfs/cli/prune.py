"""``unionfs prune``: what nobody needs goes."""

import sys
from collections.abc import Sequence

import click

from unionfs.cli import human
from unionfs.cli.arguments import UsageError
from unionfs.cli.click_command import run
from unionfs.cli.image_filters import choice_of
from unionfs.cli.images import opened_store
from unionfs.image import Digest
from unionfs.store.store import Store

_HELP = """\
Remove images without a name, all content that no image, upper or mount needs, and what commands that were killed have
left. Images that a mount or an upper uses stay.
"""
_WARNING = "This removes all images without a name that no mount or upper uses."
_WARNING_ALL = "This removes all images that no mount or upper uses."


def main(arguments: Sequence[str]) -> int:
    """Prune the store as *arguments* say.

    Raises:
        UsageError: they can't be understood, or it can't be asked whether they are meant.
        StoreError, OSError: the store is damaged, or can't be changed.
    """
    return run(_command, arguments)


@click.command("prune", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-a", "--all", "everything", is_flag=True, help="Remove images with names too.")
@click.option("-f", "--force", is_flag=True, help="Don't ask.")
@click.option(
    "--filter", "filters", metavar="KEY=VALUE", multiple=True, help="Only images that match, as for 'images'."
)
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(filters: tuple[str, ...], *, everything: bool, force: bool) -> None:
    chosen = choice_of(filters)
    if not force and not _is_meant(_WARNING_ALL if everything else _WARNING):
        return
    with opened_store() as store:
        used = _used(store)
        images = [
            image
            for image in store.catalogue().images
            if (everything or not image.names)
            and image.manifest_digest not in used
            and all(chosen(image, name) for name in image.names or (None,))
        ]
        gone = [image for image in images if store.drop(image)]
        removed = store.collect()
    for image in gone:
        for name in image.names:
            print(f"Untagged: {name.familiar}")
        print(f"Deleted: {image.id}")
    print(
        f"Removed {len(gone)} images, {len(removed.blobs)} blobs ({human.size(removed.bytes)}) "
        f"and {len(removed.layers)} unpacked layers"
    )


def _is_meant(warning: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("whether to remove images can't be asked without a terminal; --force doesn't ask")
    return click.confirm(f"{warning} Go on?", err=True)


def _used(store: Store) -> set[Digest]:
    """Give the manifests of the images that mounts and uppers use."""
    with store.using():
        uses = [upper.use for upper in store.uppers] + [mount.use for mount in store.mounted()]
    return {use.manifest.digest for use in uses}
