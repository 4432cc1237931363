"""``unionfs cat``: the content of files of images."""

import shutil
import sys
from collections.abc import Sequence

import click

from unionfs.cli import image_path
from unionfs.cli.click_command import run
from unionfs.cli.image_path import ImagePath, opened_view

_PIECE = 1 << 20
_HELP = f"""\
Print the content of regular files of images, without a mount.

{image_path.HELP}
"""
_EPILOG = """\
\b
examples:
  unionfs cat alpine:3.20:/etc/os-release
  unionfs cat docker-archive:image.tar:/etc/passwd docker-archive:image.tar:/etc/group
"""


def main(arguments: Sequence[str]) -> int:
    """Print what *arguments* name.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, ArchiveError, OSError: there is no such image or file, or it can't be read.
    """
    return run(_command, arguments)


@click.command("cat", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", metavar="IMAGE:PATH...", nargs=-1, required=True)
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(files: tuple[str, ...]) -> None:
    for image, path in [ImagePath.parse_whole(text) for text in files]:
        with opened_view(image) as (view, _), view.open(view.resolve(path)) as content:
            shutil.copyfileobj(content, sys.stdout.buffer, _PIECE)
            sys.stdout.buffer.flush()
