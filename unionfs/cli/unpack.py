"""``unionfs unpack``: an image archive becomes layer directories, ready to be mounted."""

import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from unionfs.archive import Archive, ArchiveError, Image, ImageRef, open_archive, open_stream, parse_source
from unionfs.archive import Limits as ArchiveLimits
from unionfs.cli import unpack_limits
from unionfs.cli.arguments import UsageError
from unionfs.cli.report import escape
from unionfs.cli.unpack_limits import Changes, naming_options
from unionfs.image import ImageError, Platform, escaped
from unionfs.store import Progress, Unpacked, unpack_image

_LISTED = 20
"""Images named in the error that there are several."""
_HELP = """\
Unpack the image in ARCHIVE, a file of 'docker save', an OCI archive or an OCI layout directory, compressed or not
('-' is standard input), into DIR: one directory for each layer, named by its chain id, in the format of overlayfs.

Everything is verified against its digest. Layers that are there already are left as they are. If anything fails, none
of the image's layers is added.
"""
_EPILOG = """\
The output is one line for each layer, the lowest first, and a command that mounts them; with --format json an object
with image (its names), config (its id), lowerdir (for -o lowerdir=) and layers, the lowest first.
"""


def main(arguments: Sequence[str]) -> int:
    """Unpack as *arguments* say.

    Raises:
        UsageError: they can't be understood.
        ImageError, StoreError, OSError: the image can't be read or stored.
    """
    try:
        _command.main(list(arguments), prog_name="unionfs unpack", standalone_mode=False)
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        raise UsageError(f"{error.format_message().rstrip('.')}; 'unionfs unpack --help' says more") from None
    return 0


def _path_of(_context: click.Context, _parameter: click.Parameter, text: str) -> Path:
    # An empty path would be the working directory, which no one means who has left a variable empty.
    if not text:
        raise click.BadParameter("it is empty")
    return Path(text)


def _platform_of(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Platform | None:
    try:
        return None if text is None else Platform.parse(text)
    except ImageError as error:
        raise click.BadParameter(str(error)) from None


@click.command(help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("archive")
@click.argument("directory", metavar="DIR", callback=_path_of)
@click.option("--image", "selector", metavar="REF", help="The image to take, by name, by tag or as @N.")
@click.option(
    "--platform", metavar="OS/ARCH", callback=_platform_of, help="The platform to take, by default this machine's."
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print the result.")
@unpack_limits.options
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(
    limits: Changes,
    archive: str,
    directory: Path,
    selector: str | None,
    platform: Platform | None,
    form: str,
) -> None:
    with naming_options(), _opened(archive, limits.archive_limits()) as (source, named):
        if selector is not None and named is not None:
            raise UsageError("--image and the end of ARCHIVE both name an image")
        if selector is None and named is None and len(source.images) > 1:
            raise ArchiveError(f"{source.name}: {_choice(source.images)}")
        image = source.image(selector or named, platform)
        _warn_of_platform(image, platform)
        with _progress(image) as report:
            say = partial(_say_who_is_waited_for, directory)
            unpacked = unpack_image(image, directory, limits.layer_limits(), report, say)
    for warning in unpacked.warnings:
        _warn(warning)
    print(_as_json(image, unpacked) if form == "json" else _as_text(unpacked))


def _choice(images: Sequence[ImageRef]) -> str:
    """Say how to choose one of several images."""
    names = [", ".join((*image.names, *map(escaped, image.tags))) or f"@{image.index}" for image in images]
    more = f"; and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"there are {len(names)} images, of which --image takes one: {'; '.join(names[:_LISTED])}{more}"


def _warn_of_platform(image: Image, asked: Platform | None) -> None:
    """Say so if an image that left no choice is for another platform; one that tells none is for any."""
    offered, wanted = image.config.platform, asked or Platform.host()
    # Which variants this machine's processor runs isn't known.
    if offered.known and not wanted.matches(offered if asked else replace(offered, variant="")):
        _warn(f"the image is for {offered}, not for {wanted}")


def _warn(text: str) -> None:
    print(escape(f"unionfs: warning: {text}"), file=sys.stderr)


def _say_who_is_waited_for(directory: Path, holder: int | None) -> None:
    who = "another process" if holder is None else f"process {holder}"
    print(escape(f"unionfs: waiting for {who}, which is unpacking into {directory}"), file=sys.stderr, flush=True)


@contextmanager
def _opened(archive: str, limits: ArchiveLimits) -> Iterator[tuple[Archive, str | None]]:
    """Open the source that the argument names; give it and the selector in the argument."""
    if archive == "-":
        if sys.stdin.isatty():
            raise UsageError("an archive can't be read from a terminal: redirect standard input, or name a file")
        with open_stream(sys.stdin.buffer, "standard input", limits) as source:
            yield source, None
        return
    path, selector = parse_source(archive)
    with open_archive(path, limits) as source:
        yield source, selector


@contextmanager
def _progress(image: Image) -> Iterator[Progress]:
    """Show how far each layer is, on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console  # noqa: PLC0415 - takes as long to load as the rest together
    from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - same
    from rich.progress import Progress as Bars  # noqa: PLC0415 - same

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[int, TaskID] = {}

        def report(number: int, done: int, total: int) -> None:
            if number not in tasks:
                tasks[number] = bars.add_task(image.layers[number].diff_id.hex[:12], total=total)
            bars.update(tasks[number], completed=done)

        yield report


def _as_json(image: Image, unpacked: Unpacked) -> str:
    return json.dumps(
        {
            "image": image.names,
            "config": str(image.config_digest),
            "lowerdir": unpacked.lowerdir,
            "layers": [
                {"diff_id": str(layer.diff_id), "chain_id": str(layer.chain_id), "path": os.fspath(layer.path)}
                for layer in unpacked.layers
            ],
        },
        indent=2,
    )


def _as_text(unpacked: Unpacked) -> str:
    lines = [escape(f"{layer.diff_id} {layer.path}") for layer in unpacked.layers]
    option = shlex.quote(f"lowerdir={unpacked.lowerdir}")
    return "\n".join([*lines, "", "mount it with:", escape(f"  unionfs mount -o {option} MOUNTPOINT")])
