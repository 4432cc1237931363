"""``unionfs unpack``: an image archive becomes layer directories, ready to be mounted."""

import json
import os
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from unionfs.archive import ArchiveError, Image, ImageRef
from unionfs.cli import unpack_limits
from unionfs.cli.arguments import UsageError
from unionfs.cli.click_command import run
from unionfs.cli.notices import say_who_is_waited_for, warn
from unionfs.cli.report import escape
from unionfs.cli.source import layer_progress, opened_archive, platform_of, warn_of_platform
from unionfs.cli.unpack_limits import Changes, naming_options
from unionfs.image import Platform, escaped
from unionfs.store import Unpacked, unpack_image

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
    return run(_command, arguments)


def _path_of(_context: click.Context, _parameter: click.Parameter, text: str) -> Path:
    # An empty path would be the working directory, which no one means who has left a variable empty.
    if not text:
        raise click.BadParameter("it is empty")
    return Path(text)


@click.command("unpack", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("archive")
@click.argument("directory", metavar="DIR", callback=_path_of)
@click.option("--image", "selector", metavar="REF", help="The image to take, by name, by tag or as @N.")
@click.option(
    "--platform", metavar="OS/ARCH", callback=platform_of, help="The platform to take, by default this machine's."
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
    with naming_options(), opened_archive(archive, limits.archive_limits()) as (source, named):
        if selector is not None and named is not None:
            raise UsageError("--image and the end of ARCHIVE both name an image")
        if selector is None and named is None and len(source.images) > 1:
            raise ArchiveError(f"{source.name}: {_choice(source.images)}")
        image = source.image(selector or named, platform)
        warn_of_platform(image, platform)
        with layer_progress(image) as report:
            say = partial(say_who_is_waited_for, f"unpacking into {directory}")
            unpacked = unpack_image(image, directory, limits.layer_limits(), report, say)
    for warning in unpacked.warnings:
        warn(warning)
    print(_as_json(image, unpacked) if form == "json" else _as_text(unpacked))


def _choice(images: Sequence[ImageRef]) -> str:
    """Say how to choose one of several images."""
    names = [", ".join((*image.names, *map(escaped, image.tags))) or f"@{image.index}" for image in images]
    more = f"; and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"there are {len(names)} images, of which --image takes one: {'; '.join(names[:_LISTED])}{more}"


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
