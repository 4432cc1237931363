"""The limits of ``unionfs unpack``, and the options that change them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace

import click

from unionfs.archive import Limits as ArchiveLimits
from unionfs.image import ImageError
from unionfs.image import Limits as DocumentLimits
from unionfs.store import StoreError
from unionfs.tar import Limits

_OPTIONS = {
    "bytes": "--max-layer-bytes",
    "entries": "--max-layer-entries",
    "expanded": "--max-layer-bytes",
}
"""The limits that have an option of their own."""
_NUMBER = re.compile(r"0*[1-9][0-9]{0,18}")


class Changes(dict[str, int]):
    """The limits that the command line changes, by their names."""

    def layer_limits(self) -> Limits:
        """Give the limits on one layer."""
        return replace(Limits(), **_those_of(Limits, self))

    def archive_limits(self) -> ArchiveLimits:
        """Give the limits on the archive."""
        defaults = ArchiveLimits()
        documents = replace(defaults.documents, **_those_of(DocumentLimits, self))
        # A compressed archive holds all layers.
        expanded = max(defaults.expanded, self.get("bytes", 0))
        return replace(defaults, documents=documents, expanded=expanded, **_those_of(ArchiveLimits, self))


def _those_of(kind: type[Limits | ArchiveLimits | DocumentLimits], changed: Mapping[str, int]) -> Mapping[str, int]:
    return {field.name: changed[field.name] for field in fields(kind) if field.name in changed}


def _names() -> list[str]:
    every = [field for kind in (Limits, ArchiveLimits, DocumentLimits) for field in fields(kind)]
    return sorted(field.name for field in every if field.type is int and field.name not in _OPTIONS)


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Give the function of a click command the options, and ``Changes`` as its first argument."""
    positive = click.IntRange(min=1)
    for option in (
        click.option("--limit", metavar="NAME=N", multiple=True, expose_value=False, callback=_take_settings,
                     help="Set another limit, by the name that an error gives it."),
        click.option("--max-layer-entries", metavar="N", type=positive, expose_value=False, callback=_take("entries"),
                     help="Refuse a layer with more files (2000000)."),
        click.option("--max-layer-bytes", metavar="N", type=positive, expose_value=False, callback=_take("bytes"),
                     help="Refuse a layer that unpacks to more bytes (64 GiB)."),
    ):  # fmt: skip
        command = option(command)
    return click.make_pass_decorator(Changes, ensure=True)(command)


def _take(name: str) -> Callable[[click.Context, click.Parameter, int | None], None]:
    def take(context: click.Context, _parameter: click.Parameter, value: int | None) -> None:
        if value is not None:
            context.ensure_object(Changes)[name] = value

    return take


def _take_settings(context: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> None:
    for text in values:
        name, _, number = text.partition("=")
        if name not in _names() or not _NUMBER.fullmatch(number):
            raise click.BadParameter(f"{text}: write NAME=N, where NAME is one of {', '.join(_names())}")
        context.ensure_object(Changes)[name] = int(number)


@contextmanager
def naming_options() -> Iterator[None]:
    """Add to the error about a limit which option raises it."""
    try:
        yield
    except (ImageError, StoreError) as error:
        if error.limit:
            error.args = (f"{error}; {_OPTIONS.get(error.limit, f'--limit {error.limit}=N')} raises the limit",)
        raise
