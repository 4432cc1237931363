"""``unionfs waste``: what an image ships that it doesn't show."""

import os
import re
import sys
from collections.abc import Sequence
from typing import NamedTuple, Self

import click

from unionfs.cli import human
from unionfs.cli.click_command import run
from unionfs.cli.images import opened_image, opened_store
from unionfs.cli.output import JSON, listing, show
from unionfs.cli.report import escape
from unionfs.cli.template import as_json
from unionfs.image import Digest
from unionfs.provenance import Hidden, Waste, measure_waste, open_stack

EXIT_WASTEFUL = 3
_SHOWN = 20
_HELP = """\
List the files that layers of IMAGE ship and that its root doesn't show, since a layer above overwrites or deletes them,
or hides a directory above them: by size, with the layer that ships them and the one that hides them.

IMAGE is a name or an id in the store, or docker-archive:FILE[:REF], oci-archive:FILE[:REF] or oci:DIR[:REF].
"""
_EPILOG = f"""\
A file with several names counts once, and only if none of them shows. Sizes are those of the files, not of compressed
layers. The table ends after {_SHOWN} files unless --all is given; other formats have all of them.

Fields for --format: Size, Layer (1 is the lowest), HiddenBy, How (overwritten, deleted, hidden), Path, and, for
programs, Bytes, By (the path that hides it) and Links (how many names it has). With --format json there is one object
with shipped and wasted (in bytes), efficiency (the share that shows, 0 to 1), layers (their diff_ids, the lowest first)
and files.

\b
exit codes: as of 'unionfs', and 3 if more than --threshold is wasted.

\b
examples:
  unionfs waste app
  unionfs waste --threshold 5% app || echo too much
  unionfs waste --threshold 20MB --format json docker-archive:app.tar
"""
_HEADINGS = {
    "Size": "SIZE",
    "Layer": "LAYER",
    "HiddenBy": "HIDDEN BY",
    "How": "HOW",
    "Path": "PATH",
    "Bytes": "BYTES",
    "By": "BY",
    "Links": "LINKS",
}
_COLUMNS = ("Size", "Layer", "HiddenBy", "How", "Path")
_THRESHOLD = re.compile(r"(?P<number>[0-9]{1,15}(?:\.[0-9]{1,9})?)\s*(?P<unit>%|[a-zA-Z]*)")
_UNITS = {
    "": 1, "b": 1, "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9,
    "kib": 2**10, "mib": 2**20, "gib": 2**30,
}  # fmt: skip


class Threshold(NamedTuple):
    """How much may be wasted: bytes, or a percentage of what is shipped."""

    number: float
    is_percentage: bool
    text: str

    @classmethod
    def parse(cls, _context: click.Context, _parameter: click.Parameter, text: str | None) -> Self | None:
        """Read the option's value; raises BadParameter."""
        match = None if text is None else _THRESHOLD.fullmatch(text.strip())
        if text is None:
            return None
        unit = "" if match is None else match["unit"].lower()
        if match is None or (unit != "%" and unit not in _UNITS):
            raise click.BadParameter(f"{escape(text)}: write a size as 500kB, 20MB or 1GiB, or a percentage as 5%")
        number = float(match["number"])
        return cls(number * _UNITS.get(unit, 1), unit == "%", text)

    def is_exceeded(self, waste: Waste) -> bool:
        """Tell whether more is wasted."""
        allowed = waste.shipped * self.number / 100 if self.is_percentage else self.number
        return waste.size > allowed


def main(arguments: Sequence[str]) -> int:
    """List what *arguments* ask for.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, ArchiveError, OSError: there is no such image, or it can't be read.
    """
    return run(_command, arguments)


@click.command("waste", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("image", metavar="IMAGE")
@click.option(
    "--threshold", metavar="SIZE|PERCENT", callback=Threshold.parse, help="Exit with 3 if more than that is wasted."
)
@click.option("--format", "form", metavar="FORMAT", help="table, json, 'table TEMPLATE', or a template for each line.")
@click.option("-a", "--all", "every", is_flag=True, help="List all files, not only the largest ones.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(image: str, threshold: Threshold | None, form: str | None, *, every: bool) -> int:
    with opened_store() as store, opened_image(store, image) as stacked:
        with open_stack(stacked.layers) as layers:
            waste = measure_waste(layers)
        diff_ids = stacked.image.config.diff_ids
    _print(waste, form, diff_ids, every=every)
    if threshold is None or not threshold.is_exceeded(waste):
        return 0
    print(escape(f"unionfs: {image} wastes {_sum(waste)}, more than {threshold.text}"), file=sys.stderr)
    return EXIT_WASTEFUL


def _print(waste: Waste, form: str | None, diff_ids: Sequence[Digest], *, every: bool) -> None:
    rows = [_row(file) for file in waste.files]
    if form == JSON:
        print(as_json({**_totals(waste), "layers": list(map(str, diff_ids)), "files": rows}, indent=2))
        return
    is_table = form is None or form.partition(" ")[0] == "table"
    shown = rows[:_SHOWN] if is_table and not every else rows
    if shown or not is_table:
        show(listing(shown, _HEADINGS, _COLUMNS, form))
    if is_table:
        rest = f"; {len(rows) - len(shown)} of them aren't listed (--all)" if len(shown) < len(rows) else ""
        print(f"{chr(10) if shown else ''}{_sum(waste)} are wasted, in {len(rows)} files{rest}")


def _sum(waste: Waste) -> str:
    return f"{human.size(waste.size)} of {human.size(waste.shipped)} ({1 - waste.efficiency:.1%})"


def _totals(waste: Waste) -> dict[str, object]:
    return {"shipped": waste.shipped, "wasted": waste.size, "efficiency": round(waste.efficiency, 6)}


def _row(file: Hidden) -> dict[str, object]:
    return {
        "Size": human.size(file.size),
        "Layer": file.layer + 1,
        "HiddenBy": file.hidden_by + 1,
        "How": file.loss.value,
        "Path": f"/{os.fsdecode(file.path)}",
        "Bytes": file.size,
        "By": f"/{os.fsdecode(file.by)}",
        "Links": file.links,
    }
