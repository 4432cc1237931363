"""``unionfs df``: what the store takes on disk."""

from collections.abc import Sequence

import click

from unionfs.cli import human
from unionfs.cli.click_command import run
from unionfs.cli.images import opened_store
from unionfs.cli.output import listing, show
from unionfs.store.usage import Taken, Usage, usage

_HELP = """\
Show what images (as they are kept, perhaps compressed), unpacked layers and uppers with a name take on disk. Images and
layers are active that a mount or an upper uses, uppers that are mounted; the rest is reclaimable.
"""
_EPILOG = """\
Fields for --format: Type, Total, Active, Size, Reclaimable, and, for programs, Bytes and ReclaimableBytes; with
--verbose Type, Name, Size, Unique, Active, Bytes and UniqueBytes.
"""
_HEADINGS = {
    "Type": "TYPE",
    "Total": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
    "Bytes": "BYTES",
    "ReclaimableBytes": "RECLAIMABLE BYTES",
}
_VERBOSE_HEADINGS = {
    "Type": "TYPE",
    "Name": "NAME",
    "Size": "SIZE",
    "Unique": "UNIQUE SIZE",
    "Active": "ACTIVE",
    "Bytes": "BYTES",
    "UniqueBytes": "UNIQUE BYTES",
}


def main(arguments: Sequence[str]) -> int:
    """Measure the store as *arguments* say.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, OSError: the store can't be read.
    """
    return run(_command, arguments)


@click.command("df", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Show each image, layer and upper.")
@click.option("--format", "form", metavar="FORMAT", help="How to print it: table, json, or a template, as '{{.Type}}'.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(form: str | None, *, verbose: bool) -> None:
    with opened_store() as store:
        found = usage(store)
    if verbose:
        show(listing(_each(found), _VERBOSE_HEADINGS, ["Type", "Name", "Size", "Unique", "Active"], form))
    else:
        show(listing(_sums(found), _HEADINGS, ["Type", "Total", "Active", "Size", "Reclaimable"], form))


def _sums(found: Usage) -> list[dict[str, object]]:
    return [
        _sum("Images", found.images, found.blobs, found.blobs - found.active_blobs),
        *(
            _sum(kind, each, sum(one.size for one in each), sum(one.size for one in each if not one.active))
            for kind, each in (("Layers", found.layers), ("Uppers", found.uppers))
        ),
    ]


def _sum(kind: str, each: Sequence[Taken], size: int, reclaimable: int) -> dict[str, object]:
    share = f" ({100 * reclaimable // size}%)" if size else ""
    return {
        "Type": kind,
        "Total": len(each),
        "Active": sum(one.active for one in each),
        "Size": human.size(size),
        "Reclaimable": human.size(reclaimable) + share,
        "Bytes": size,
        "ReclaimableBytes": reclaimable,
    }


def _each(found: Usage) -> list[dict[str, object]]:
    kinds = (("Image", found.images), ("Layer", found.layers), ("Upper", found.uppers))
    return [
        {
            "Type": kind,
            "Name": one.name,
            "Size": human.size(one.size),
            "Unique": human.size(one.unique),
            "Active": one.active,
            "Bytes": one.size,
            "UniqueBytes": one.unique,
        }
        for kind, each in kinds
        for one in each
    ]
