"""``unionfs diff``: what an upper changed, or what differs between two images."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click

from unionfs.cli.click_command import run
from unionfs.cli.images import opened_image, opened_store
from unionfs.cli.output import listing, show
from unionfs.diff import changes, layer_changes, shown_lines
from unionfs.store.store import Store
from unionfs.store.uppers import NAME, Upper
from unionfs.view import View, open_view

_HELP = """\
List what differs, one path on each line: A is what was added, C changed, and D deleted.

With one argument it is what the changes in an upper are to its image, or what the topmost layer of an image is to those
beneath it. With two it is what OTHER shows that ONE doesn't show so.

Both are the name of an upper, as given to 'mount --rw=NAME' or 'shell --keep NAME', or else an image: a name or an id
in the store, or docker-archive:FILE[:REF], oci-archive:FILE[:REF] or oci:DIR[:REF].
"""
_EPILOG = """\
\b
Fields for --format: Kind, Path.

\b
Examples:
  unionfs diff web
  unionfs diff demo/web:1 demo/web:2
  unionfs diff --format json debian:12 oci-archive:debian.tar
"""
_FORM = "How to print it: json (one array), table, 'table TEMPLATE', or a template for each line, as '{{.Path}}'."
_HEADINGS = {"Kind": "KIND", "Path": "PATH"}
_LINE = "{{.Kind}} {{.Path}}"


def main(arguments: Sequence[str]) -> int:
    """List differences as *arguments* say.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, ArchiveError, OSError: there is no such upper or image, or it can't be read.
    """
    return run(_command, arguments)


@click.command("diff", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("one", metavar="UPPER|IMAGE")
@click.argument("other", metavar="[OTHER]", required=False)
@click.option("--format", "form", metavar="FORMAT", help=_FORM)
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(one: str, other: str | None, form: str | None) -> None:
    with ExitStack() as opened:
        store = opened.enter_context(opened_store())
        first = _stack(store, one, opened)
        if other is None:
            found = layer_changes(_tree(first.beneath(), opened), _tree(first, opened))
        else:
            found = list(changes(_tree(first, opened), _tree(_stack(store, other, opened), opened)))
    rows = [{"Kind": letter, "Path": os.fsdecode(path)} for letter, path in shown_lines(found)]
    show(listing(rows, _HEADINGS, list(_HEADINGS), form or _LINE))


class _Stack(NamedTuple):
    """The layers of an image, topmost first, and an upper on them where one is meant."""

    layers: Sequence[Path]
    upper: Upper | None = None

    def beneath(self) -> "_Stack":
        """Give it without what is on top."""
        return _Stack(self.layers if self.upper is not None else self.layers[1:])


def _stack(store: Store, argument: str, opened: ExitStack) -> _Stack:
    """Find what *argument* means, which stays as long as *opened* isn't closed."""
    opened.enter_context(store.using())
    upper = store.uppers.get(argument) if NAME.fullmatch(argument) else None
    if upper is not None:
        return _Stack(store.stack(store.image_of(upper.use)).layers[::-1], upper)
    return _Stack(opened.enter_context(opened_image(store, argument)).layers[::-1])


def _tree(stack: _Stack, opened: ExitStack) -> View:
    layers = stack.layers or [Path(opened.enter_context(TemporaryDirectory(prefix="unionfs-empty-")))]
    if stack.upper is None:
        return opened.enter_context(open_view(layers))
    return opened.enter_context(open_view(layers, stack.upper.upper, stack.upper.work))
