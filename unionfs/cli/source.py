"""What commands that read an image archive share: opening it, its platform, and how far its layers are."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import click

from unionfs.archive import Archive, Image, open_archive, open_stream, parse_source
from unionfs.archive import Limits as ArchiveLimits
from unionfs.cli.arguments import UsageError
from unionfs.cli.bars import byte_bars
from unionfs.cli.notices import warn
from unionfs.image import ImageError, Platform
from unionfs.store import Progress


def platform_of(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Platform | None:
    """Read an option's value; for click."""
    try:
        return None if text is None else Platform.parse(text)
    except ImageError as error:
        raise click.BadParameter(str(error)) from None


@contextmanager
def opened_archive(
    archive: str, limits: ArchiveLimits, spool: Path | None = None
) -> Iterator[tuple[Archive, str | None]]:
    """Open the source that *archive* names, ``-`` being standard input; give it and the selector at its end.

    What must be spooled goes into the directory *spool*.
    """
    if archive == "-":
        with open_stream(standard_input(), "standard input", limits, spool) as source:
            yield source, None
        return
    path, selector = parse_source(archive)
    with open_archive(path, limits, spool) as source:
        yield source, selector


def standard_input() -> BinaryIO:
    """Give standard input to read an archive from; raises UsageError if that is a terminal."""
    if sys.stdin.isatty():
        raise UsageError("an archive can't be read from a terminal: redirect standard input, or name a file")
    return sys.stdin.buffer


def warn_of_platform(image: Image, asked: Platform | None) -> None:
    """Say so if an image that left no choice is for another platform; one that tells none is for any."""
    offered, wanted = image.config.platform, asked or Platform.host()
    # Which variants this machine's processor runs isn't known.
    if offered.known and not wanted.matches(offered if asked else replace(offered, variant="")):
        warn(f"the image is for {offered}, not for {wanted}")


@contextmanager
def layer_progress(image: Image, *, quiet: bool = False) -> Iterator[Progress]:
    """Show how far each layer is, on standard error if that is a terminal."""
    with byte_bars(quiet=quiet) as show:
        yield lambda number, done, total: show(image.layers[number].diff_id.hex[:12], done, total)
