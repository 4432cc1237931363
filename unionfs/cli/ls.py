"""``unionfs ls``: what is in a directory of an image."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import click

from unionfs.cli import image_path
from unionfs.cli.click_command import run
from unionfs.cli.image_path import ImagePath, number_of, opened_view
from unionfs.cli.long_format import as_object, long_lines
from unionfs.cli.report import escape
from unionfs.cli.template import as_json
from unionfs.store.store import StackedImage
from unionfs.view import Entry, View

_HELP = f"""\
List what is in a directory of an image, by default its root, or one file, without a mount. Names are sorted by their
bytes, and those that begin with a dot are left out.

{image_path.HELP}
"""
_EPILOG = """\
With -l a line has type and permissions, number of names, owner and group as numbers, size in bytes or device, time of
the last change, name, and the target of a symbolic link. With --format json there is one array of objects with path,
type, mode, uid, gid, size, nlink, mtime, mtime_ns, target, device, and layer, the number of the layer that shows, 1
being the lowest.

\b
examples:
  unionfs ls alpine:3.20
  unionfs ls -l alpine:3.20:/etc
  unionfs ls -R --format json oci:layout:/usr
"""


class _Wanted(NamedTuple):
    """What is to be listed of each directory."""

    view: View
    hidden: bool
    recursive: bool


def main(arguments: Sequence[str]) -> int:
    """List as *arguments* say.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, ArchiveError, OSError: there is no such image or path, or it can't be read.
    """
    return run(_command, arguments)


@click.command("ls", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source", metavar="IMAGE[:PATH]")
@click.option("-l", "long", is_flag=True, help="Show permissions, owners, sizes and times.")
@click.option("-R", "--recursive", is_flag=True, help="List the directories beneath too.")
@click.option("-a", "--all", "hidden", is_flag=True, help="Show names that begin with a dot.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print the result.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(source: str, form: str, *, long: bool, recursive: bool, hidden: bool) -> None:
    image, path = ImagePath.parse(source)
    with opened_view(image) as (view, stacked):
        wanted = _Wanted(view, hidden, recursive)
        # As of ls: a link at the end is what is asked about where it can be described.
        top = view.find(path or b"/", follow=not long)
        if form == "json":
            _print_json(wanted, stacked, top)
        elif top.attributes.is_directory:
            _print_directories(wanted, top, long=long)
        else:
            name = os.fsdecode(path or b"/")
            print("\n".join(long_lines(view, [(name, top)])) if long else escape(name))


def _print_directories(wanted: _Wanted, top: Entry, *, long: bool) -> None:
    for number, (directory, entries) in enumerate(_directories(wanted, top)):
        if wanted.recursive:
            print("" if number == 0 else "\n", escape(f"/{os.fsdecode(directory.path)}:"), sep="")
        rows = [(os.fsdecode(entry.path.rpartition(b"/")[2]), entry) for entry in entries]
        for line in long_lines(wanted.view, rows) if long else (escape(name) for name, _ in rows):
            print(line)


def _directories(wanted: _Wanted, top: Entry) -> Iterator[tuple[Entry, Sequence[Entry]]]:
    """Give each directory to list with what is in it, each before those in it."""
    pending = [top]
    while pending:
        directory = pending.pop()
        entries = [entry for entry in _beneath(wanted.view, directory) if wanted.hidden or not _is_hidden(entry)]
        yield directory, entries
        if wanted.recursive:
            pending += [entry for entry in reversed(entries) if entry.attributes.is_directory]


def _beneath(view: View, directory: Entry) -> Iterator[Entry]:
    above = directory.path + b"/" if directory.path else b""
    for name in view.names(directory.path):
        yield Entry(above + name, view.attributes(above + name))


def _is_hidden(entry: Entry) -> bool:
    return entry.path.rpartition(b"/")[2].startswith(b".")


def _print_json(wanted: _Wanted, image: StackedImage, top: Entry) -> None:
    """Print the array object by object, since of a whole image it is long."""
    with _array() as put:
        if not top.attributes.is_directory:
            put(_described(wanted.view, image, top))
            return
        for _, entries in _directories(wanted, top):
            for entry in entries:
                put(_described(wanted.view, image, entry))


@contextmanager
def _array() -> Iterator[Callable[[dict[str, object]], None]]:
    """Print a JSON array of what the function that is given is called with."""
    separator = ""

    def put(value: dict[str, object]) -> None:
        nonlocal separator
        print(separator, as_json(value), sep="", end="")
        separator = ",\n"

    print("[", end="")
    yield put
    print("]")


def _described(view: View, image: StackedImage, entry: Entry) -> dict[str, object]:
    position = view.places(entry.path)[0].directory.tree.position
    return {**as_object(view, entry), "layer": number_of(image, position)}
