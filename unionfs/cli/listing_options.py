"""Options that all commands have that list something, in click's terms."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FORM = (
    "How to print it: table, json (one array), 'table TEMPLATE', or a template for each line, as '{{.ID}} {{.Size}}'."
)


def listing_options(command: _Command) -> _Command:
    """Add ``--format``, ``--quiet``, ``--no-trunc`` and ``--debug``."""
    for option in (
        click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error."),
        click.option("--no-trunc", is_flag=True, help="Shorten nothing."),
        click.option("-q", "--quiet", is_flag=True, help="Print only ids."),
        click.option("--format", "form", metavar="FORMAT", help=_FORM),
    ):
        command = option(command)
    return command


def form_of(form: str | None, *, quiet: bool) -> str | None:
    """Give what ``--format`` says; ``--quiet`` is a template of its own."""
    if quiet and form is not None:
        raise click.UsageError("--quiet and --format exclude each other")
    return "{{.ID}}" if quiet else form
