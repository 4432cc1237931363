"""``unionfs export``: all that an image shows becomes one tar archive."""

import sys
from collections.abc import Sequence

import click

from unionfs.archive.writing import output
from unionfs.cli.arguments import UsageError
from unionfs.cli.click_command import run
from unionfs.cli.image_path import opened_view
from unionfs.cli.notices import warn
from unionfs.diff import write_tree

_HELP = """\
Write the whole root of IMAGE, as a mount shows it, as a tar archive to standard output, or to FILE.

IMAGE is a name or an id in the store, or docker-archive:FILE[:REF], oci-archive:FILE[:REF] or oci:DIR[:REF]. The same
image always becomes the same bytes. What 'unionfs import' reads again has the files, but neither layers nor history.
"""
_EPILOG = """\
FILE appears only when it is complete.

\b
examples:
  unionfs export -o root.tar alpine:3.20
  unionfs export alpine | tar -t
"""


def main(arguments: Sequence[str]) -> int:
    """Export as *arguments* say.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, ArchiveError, TarError, ChangedError, OSError: it can't be read or written.
    """
    return run(_command, arguments)


@click.command("export", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("image", metavar="IMAGE")
@click.option("-o", "--output", "path", metavar="FILE", help="Write to FILE.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(image: str, path: str | None) -> None:
    if path == "":
        raise UsageError("the name of the file to write is empty")
    if path in (None, "-"):
        if sys.stdout.isatty():
            raise UsageError("a tar archive isn't written to a terminal: use -o FILE or redirect standard output")
        with opened_view(image) as (view, _):
            warnings = write_tree(view, sys.stdout.buffer)
            sys.stdout.buffer.flush()
    else:
        with opened_view(image) as (view, _), output(str(path)) as file:
            warnings = write_tree(view, file)
    for text in warnings:
        warn(text)
