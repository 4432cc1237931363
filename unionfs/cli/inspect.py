"""``unionfs inspect``: what there is to know of images."""

from collections.abc import Sequence

import click

from unionfs.archive import ArchiveError
from unionfs.cli.click_command import run
from unionfs.cli.images import opened_store
from unionfs.cli.notices import fail
from unionfs.cli.output import inspection, show
from unionfs.cli.stored import found
from unionfs.image import ImageError
from unionfs.image.inspect import inspected
from unionfs.store import StoreError
from unionfs.store.images import StoredImage

_HELP = """\
Print what there is to know of each IMAGE, as one JSON array of objects like docker's.

IMAGE is a name or an id in the store, or docker-archive:FILE[:REF], oci-archive:FILE[:REF] or oci:DIR[:REF]. What is
found is printed also where another IMAGE isn't; the exit code then is 1.
"""


def main(arguments: Sequence[str]) -> int:
    """Inspect images as *arguments* say; raises what ``images.opened_store`` raises, and UsageError."""
    return run(_command, arguments)


@click.command("inspect", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option(
    "-f",
    "--format",
    "form",
    metavar="FORMAT",
    help="A template for each object, as '{{.Id}}' or '{{json .Config.Env}}'.",
)
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(images: tuple[str, ...], form: str | None) -> int:
    described = []
    missing = 0
    with opened_store() as store:
        for argument in images:
            try:
                described.append(_described(found(store, argument)))
            except (StoreError, ImageError, ArchiveError, OSError) as error:
                fail(error)
                missing += 1
    show(inspection(described, form))
    return 1 if missing else 0


def _described(image: StoredImage) -> dict[str, object]:
    return inspected(image.names, image.config, image.manifest, image.manifest_digest, image.size)
