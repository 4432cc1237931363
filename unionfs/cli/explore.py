"""``unionfs explore``: looking around in an image on a terminal."""

import sys
from collections.abc import Sequence

import click

from unionfs.cli import human
from unionfs.cli.arguments import UsageError
from unionfs.cli.click_command import run
from unionfs.cli.images import opened_image, opened_store
from unionfs.cli.report import describe, escape

_HELP = """\
Look around in IMAGE on the terminal: its layers with the steps that made them, the tree that each shows, with what it
adds, changes and removes, sizes, files, and how much is wasted. Nothing is mounted.

IMAGE is a name or an id in the store, or docker-archive:FILE[:REF], oci-archive:FILE[:REF] or oci:DIR[:REF].
"""
_EPILOG = """\
Marks and colours: '+', green, is what the layer adds, '~', yellow, what it changes, '-', red, what it removes. With
NO_COLOR in the environment the marks alone say so.

\b
keys:
  arrows, page up and down, home, end    move; right and left open and close a directory
  enter       open a directory, or show a file       p       show attributes and content
  tab         the next pane                          [ ]     the layer below or above
  v           state, changes, or the layer alone     s       sort by size, or by name
  /           show only what has a text in its name  esc     show all again
  q           quit
"""


def main(arguments: Sequence[str]) -> int:
    """Explore what *arguments* ask for.

    Raises:
        UsageError: they can't be understood, or there is no terminal.
        StoreError, ImageError, ArchiveError, OSError: there is no such image, or it can't be read.
    """
    return run(_command, arguments)


@click.command("explore", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("image", metavar="IMAGE")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(image: str) -> int:
    streams = (("standard input", sys.stdin), ("standard output", sys.stdout), ("standard error", sys.stderr))
    for name, stream in streams:
        if not stream.isatty():
            raise UsageError(f"{name} is no terminal; 'unionfs ls', 'why' and 'waste' print what a program can read")
    with opened_store() as store, opened_image(store, image) as stacked:
        # Here, since nothing else needs what draws on the terminal, and it takes long to import.
        from unionfs.explore.app import explore  # noqa: PLC0415 - as the comment says
        from unionfs.explore.subject import Subject, Words  # noqa: PLC0415 - likewise

        return explore(Subject(image, stacked.layers, stacked.image.config), Words(human.size, escape, describe))
