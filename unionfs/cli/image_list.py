"""``unionfs images``: which images the store has."""

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from unionfs.cli import human
from unionfs.cli.click_command import run
from unionfs.cli.image_filters import choice_of
from unionfs.cli.images import opened_store
from unionfs.cli.listing_options import form_of, listing_options
from unionfs.cli.output import JSON, listing, show
from unionfs.cli.stored import warn_of_damage
from unionfs.image import Reference
from unionfs.store.images import StoredImage

_HELP = """\
List the images of the store, those made last first.

NAME is a name without its tag, or with it; in it * stands for anything but a slash. Several filters of one kind choose
what any of them does (reference) or all of them do (label):

\b
  reference=NAME   by name, as NAME itself
  dangling=true    without a name (false: with one)
  label=KEY        with this label; label=KEY=VALUE with this value
"""
_EPILOG = """\
Fields for --format: ID, Repository, Tag, Digest, CreatedSince, CreatedAt, Size, and, for programs, Created (RFC 3339)
and Bytes. The size is that of the layers as they are kept, which may be compressed.
"""
_HEADINGS = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "Created": "CREATED",
    "Bytes": "BYTES",
}
_NONE = "<none>"


def main(arguments: Sequence[str]) -> int:
    """List images as *arguments* say.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, OSError: the store can't be read.
    """
    return run(_command, arguments)


@click.command("images", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", required=False)
@click.option("-a", "--all", "_all", is_flag=True, help="Accepted, for docker's sake: all images are listed anyway.")
@click.option("--digests", is_flag=True, help="Show the digests of manifests.")
@click.option("-f", "--filter", "filters", metavar="KEY=VALUE", multiple=True, help="List only those that match.")
@listing_options
def _command(
    name: str | None,
    filters: tuple[str, ...],
    form: str | None,
    *,
    _all: bool,
    digests: bool,
    quiet: bool,
    no_trunc: bool,
) -> None:
    chosen = choice_of([*filters, *([] if name is None else [f"reference={name}"])])
    with opened_store() as store:
        catalogue = store.catalogue()
    warn_of_damage(catalogue)
    now = datetime.now(UTC)
    rows = [
        _row(image, reference, now, whole=no_trunc or form == JSON)
        for image in sorted(catalogue.images, key=_made, reverse=True)
        for reference in image.names or (None,)
        if chosen(image, reference)
    ]
    if quiet:
        rows = list({str(row["ID"]): row for row in rows}.values())
    columns = ["Repository", "Tag", *(["Digest"] if digests else []), "ID", "CreatedSince", "Size"]
    show(listing(rows, _HEADINGS, columns, form_of(form, quiet=quiet)))


def _made(image: StoredImage) -> datetime:
    return human.moment(image.config.created) or datetime.fromtimestamp(0, UTC)


def _row(image: StoredImage, name: Reference | None, now: datetime, *, whole: bool) -> dict[str, object]:
    created = image.config.created
    return {
        "ID": str(image.id) if whole else image.id.hex[:12],
        "Repository": _NONE if name is None else _repository(name),
        "Tag": _NONE if name is None or name.tag is None else name.tag,
        "Digest": str(image.manifest_digest),
        "CreatedSince": human.age(created, now),
        "CreatedAt": human.instant(created),
        "Size": human.size(image.size),
        "Created": created,
        "Bytes": image.size,
    }


def _repository(name: Reference) -> str:
    """Give the repository of a name as docker shows it."""
    return name.familiar.removesuffix(str(name).removeprefix(name.repository))
