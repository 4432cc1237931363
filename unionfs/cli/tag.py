"""``unionfs tag``: further names for an image."""

from collections.abc import Sequence

import click

from unionfs.cli.arguments import UsageError
from unionfs.cli.click_command import run
from unionfs.cli.images import opened_store
from unionfs.cli.report import escape
from unionfs.cli.stored import found
from unionfs.image import Reference

_HELP = """\
Give IMAGE further names. A name that another image has is this image's from then on.

IMAGE is a name or an id in the store, or docker-archive:FILE[:REF], oci-archive:FILE[:REF] or oci:DIR[:REF].
"""


def main(arguments: Sequence[str]) -> int:
    """Tag an image as *arguments* say.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, ArchiveError, OSError: there is no such image, or the store can't be changed.
    """
    return run(_command, arguments)


@click.command("tag", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("image", metavar="IMAGE")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(image: str, names: tuple[str, ...]) -> None:
    references = [new_name(text) for text in names]
    with opened_store() as store, store.using():
        store.tag(found(store, image), references)


def new_name(text: str) -> Reference:
    """Read a name that an image shall get.

    Raises:
        ImageError: it is none.
        UsageError: it has a digest, which no one can choose.
    """
    reference = Reference.parse(text)
    if reference.digest is not None:
        raise UsageError(f"{escape(text)} has a digest, so it can't be given to an image")
    return reference
