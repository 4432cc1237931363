"""``unionfs history``: the steps of an image's making."""

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from unionfs.cli import human
from unionfs.cli.click_command import run
from unionfs.cli.images import opened_store
from unionfs.cli.listing_options import form_of, listing_options
from unionfs.cli.output import JSON, listing, shortened, show
from unionfs.cli.stored import found
from unionfs.image.history import Step, steps
from unionfs.store.images import StoredImage

_HELP = """\
List the steps of the making of IMAGE, the last one first, each with the layer that it made.

IMAGE is a name or an id in the store, or docker-archive:FILE[:REF], oci-archive:FILE[:REF] or oci:DIR[:REF].
"""
_EPILOG = """\
Fields for --format: ID (the image's, at its last step), CreatedSince, CreatedAt, CreatedBy, Size, Comment, and, for
programs, Created (RFC 3339), Bytes, and Layer, the diff_id of the step's layer. A size is that of the layer as it is
kept, which may be compressed.
"""
_HEADINGS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
    "Created": "CREATED",
    "Bytes": "BYTES",
    "Layer": "LAYER",
}
_MISSING = "<missing>"
_LONGEST = 45
"""Characters of a step's command that are shown; docker's number."""


def main(arguments: Sequence[str]) -> int:
    """List an image's history as *arguments* say.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, ArchiveError, OSError: there is no such image, or it can't be read.
    """
    return run(_command, arguments)


@click.command("history", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("image", metavar="IMAGE")
@listing_options
def _command(image: str, form: str | None, *, quiet: bool, no_trunc: bool) -> None:
    form = form_of(form, quiet=quiet)
    with opened_store() as store:
        stored = found(store, image)
        store.open(stored)  # which refuses one whose manifest has other layers than its config
    now = datetime.now(UTC)
    rows = [_row(stored, step, now, whole=no_trunc or form == JSON) for step in reversed(steps(stored.config))]
    if rows:
        rows[0]["ID"] = str(stored.id) if no_trunc or form == JSON else stored.id.hex[:12]
    show(listing(rows, _HEADINGS, ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"], form))


def _row(image: StoredImage, step: Step, now: datetime, *, whole: bool) -> dict[str, object]:
    size = 0 if step.layer is None else image.manifest.layers[step.layer].size
    command = step.history.created_by.replace("\t", " ")
    return {
        "ID": _MISSING,
        "CreatedSince": human.age(step.history.created, now),
        "CreatedAt": human.instant(step.history.created),
        "CreatedBy": command if whole else shortened(command, _LONGEST),
        "Size": human.size(size),
        "Comment": step.history.comment,
        "Created": step.history.created,
        "Bytes": size,
        "Layer": "" if step.layer is None else str(image.config.diff_ids[step.layer]),
    }
