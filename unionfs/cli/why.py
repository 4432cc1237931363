"""``unionfs why``: which layers made a path what it is."""

import errno
import os
from collections.abc import Sequence

import click

from unionfs.cli import human
from unionfs.cli.arguments import UsageError
from unionfs.cli.click_command import run
from unionfs.cli.image_path import opened_view
from unionfs.cli.output import JSON, listing, shortened, show
from unionfs.image import Config
from unionfs.image.history import steps
from unionfs.provenance import Step, open_stack, trace
from unionfs.view import View

_HELP = """\
Say for each layer of IMAGE, the lowest first, what it does to PATH: adds it, changes it, deletes it, hides it by what
it has in a directory above, or restores it; which step of the image's history made the layer; and how many bytes of
files, at the path or beneath it, don't show from there on although they are shipped.

IMAGE is a name or an id in the store, or docker-archive:FILE[:REF], oci-archive:FILE[:REF] or oci:DIR[:REF].
"""
_EPILOG = """\
Symbolic links in the directories above PATH are followed in the image; PATH itself need not show any more.

Fields for --format: Layer (1 is the lowest), DiffID, Action, What (what a change is of: type, content, target, device,
mode, owner, time, xattrs; or the directory above that does it), Size, Hidden, CreatedBy, and, for programs, Path, By,
Bytes and HiddenBytes.

\b
examples:
  unionfs why alpine:3.20 /etc/passwd
  unionfs why --format '{{.Layer}} {{.CreatedBy}}' app /usr/lib/libssl.so.3
"""
_HEADINGS = {
    "Layer": "LAYER",
    "Action": "ACTION",
    "What": "WHAT",
    "Size": "SIZE",
    "Hidden": "HIDDEN",
    "CreatedBy": "CREATED BY",
    "DiffID": "DIFF ID",
    "Path": "PATH",
    "By": "BY",
    "Bytes": "BYTES",
    "HiddenBytes": "HIDDEN BYTES",
}
_COLUMNS = ("Layer", "Action", "What", "Size", "Hidden", "CreatedBy")
_LONGEST = 60
_NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def main(arguments: Sequence[str]) -> int:
    """Say what *arguments* ask for.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, ArchiveError, OSError: there is no such image, or no layer has the path.
    """
    return run(_command, arguments)


@click.command("why", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("image", metavar="IMAGE")
@click.argument("path", metavar="PATH")
@click.option("--format", "form", metavar="FORMAT", help="table, json, 'table TEMPLATE', or a template for each line.")
@click.option("--no-trunc", is_flag=True, help="Shorten nothing.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(image: str, path: str, form: str | None, *, no_trunc: bool) -> None:
    if not path:
        raise UsageError("PATH is empty")
    with opened_view(image) as (view, stacked), open_stack(stacked.layers) as layers:
        place = whereabouts(view, os.fsencode(path))
        found = trace(layers, place)
        if not found:
            raise FileNotFoundError(errno.ENOENT, "no layer has it", b"/" + place)
    makers = _makers(stacked.image.config)
    rows = [_row(step, place, stacked.image.config, makers) for step in found]
    if not no_trunc and form != JSON:
        for row in rows:
            row["CreatedBy"] = shortened(str(row["CreatedBy"]), _LONGEST)
    show(listing(rows, _HEADINGS, _COLUMNS, form))


def whereabouts(view: View, path: bytes) -> bytes:
    """Give *path* with the links in the directories above it followed, as far as they show.

    Raises:
        OSError: a layer can't be read.
    """
    beneath: list[bytes] = []
    above = b"/".join(part for part in path.split(b"/") if part not in (b"", b"."))
    while above:
        try:
            found = view.resolve(above, follow=bool(beneath))
        except OSError as error:
            if error.errno not in _NOWHERE:
                raise
            above, _, name = above.rpartition(b"/")
            beneath = [name, *beneath]
            continue
        return _joined(found, beneath)
    return _joined(b"", beneath)


def _joined(above: bytes, beneath: Sequence[bytes]) -> bytes:
    """Give a path beneath *above*, in which ``..`` is what it is without links."""
    parts = above.split(b"/") if above else []
    for name in beneath:
        parts = parts[:-1] if name == b".." else [*parts, name]
    return b"/".join(parts)


def _makers(config: Config) -> dict[int, str]:
    """Give the command of the step that made each layer, by the layer's number from 0."""
    return {step.layer: step.history.created_by for step in steps(config) if step.layer is not None}


def _row(step: Step, path: bytes, config: Config, makers: dict[int, str]) -> dict[str, object]:
    by = f"/{os.fsdecode(step.by)}"
    size = step.shown.size if step.shown is not None and step.shown.is_regular else None
    return {
        "Layer": step.layer + 1,
        "DiffID": str(config.diff_ids[step.layer]),
        "Action": step.action.value,
        "What": ", ".join(step.what) or ("" if step.by == path else f"by {by}"),
        "Size": "" if size is None else human.size(size),
        "Hidden": human.size(step.hidden) if step.hidden else "",
        "CreatedBy": makers[step.layer].replace("\t", " "),
        "Path": f"/{os.fsdecode(path)}",
        "By": by,
        "Bytes": size,
        "HiddenBytes": step.hidden,
    }
