"""``unionfs cp``: a file or a tree of an image is copied to this machine."""

import os
import sys
from collections.abc import Sequence

import click

from unionfs.cli import image_path
from unionfs.cli.arguments import UsageError
from unionfs.cli.click_command import run
from unionfs.cli.image_path import ImagePath, opened_view
from unionfs.cli.notices import warn
from unionfs.copyout import copy_out, destination
from unionfs.diff import write_tree
from unionfs.view import Entry, View

_HELP = f"""\
Copy a file, or a directory with all in it, from IMAGE to DEST on this machine, without a mount.

A file becomes DEST, or goes into it if DEST is a directory. A directory becomes DEST, or goes into it if DEST is there;
with '/.' at the end of PATH only what is in it goes there. With '-' as DEST a tar archive goes to standard output.

{image_path.HELP}
"""
_EPILOG = """\
Permissions, times, symbolic links, holes, and hard links within the copy are kept. Without -a all belongs to the
caller and has no set-id bits, and devices are left out, which a warning and exit code 1 say. What has the name of a
file is replaced; symbolic links in DEST, such as an earlier copy brought, are never written through.

\b
examples:
  unionfs cp alpine:/etc/os-release .
  unionfs cp localhost:5000/app:1.2:/srv/www/. /var/www
  unionfs cp -a docker-archive:image.tar:/ rootfs
  unionfs cp alpine:/etc - | tar -tv
"""


def main(arguments: Sequence[str]) -> int:
    """Copy as *arguments* say.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, ArchiveError, ChangedError, OSError: it can't be read or written.
    """
    return run(_command, arguments)


@click.command("cp", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source", metavar="IMAGE:PATH")
@click.argument("target", metavar="DEST")
@click.option("-a", "--archive", "everything", is_flag=True, help="Keep owners, attributes, set-id bits and devices.")
@click.option("-L", "--follow-link", is_flag=True, help="Copy what PATH leads to if it is a symbolic link.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(source: str, target: str, *, everything: bool, follow_link: bool) -> int:
    image, path = ImagePath.parse_whole(source)
    if not target:
        raise UsageError("DEST is empty")
    if target == "-" and sys.stdout.isatty():
        raise UsageError("a tar archive isn't written to a terminal: redirect standard output")
    with opened_view(image) as (view, _):
        entry = view.find(path, follow=follow_link)
        name = _name(path, entry)
        if target == "-":
            return _write_tar(view, entry, name)
        place = destination(os.fsencode(target), name=name, is_directory=entry.attributes.is_directory)
        left_out = copy_out(view, entry.path, place, everything=everything)
    for device in left_out:
        warn(f"{image}:/{os.fsdecode(device)} is a device, which only -a copies; it is left out")
    return 1 if left_out else 0


def _name(path: bytes, entry: Entry) -> bytes:
    """Give what the copy is called: nothing where what is in a directory is copied, otherwise as the user says."""
    *_, last = [b".", *filter(None, path.split(b"/"))]
    if not entry.path or last == b".":
        return b""
    return entry.path.rpartition(b"/")[2] if last == b".." else last


def _write_tar(view: View, entry: Entry, name: bytes) -> int:
    warnings = write_tree(view, sys.stdout.buffer, entry.path, name)
    sys.stdout.buffer.flush()
    for text in warnings:
        warn(text)
    return 0
