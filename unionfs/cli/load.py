"""``unionfs load``: the images of an archive or an OCI layout come into the store."""

from collections.abc import Sequence

import click

from unionfs.archive import Archive, Image
from unionfs.cli import unpack_limits
from unionfs.cli.click_command import run
from unionfs.cli.images import names_of, opened_store
from unionfs.cli.notices import warn
from unionfs.cli.source import layer_progress, opened_archive, platform_of, warn_of_platform
from unionfs.cli.unpack_limits import Changes, naming_options
from unionfs.image import Platform
from unionfs.store.images import Catalogue
from unionfs.store.store import Store

_HELP = """\
Load all images of FILE into the store: a file of 'docker save' or 'podman save', an OCI archive or an OCI layout
directory, compressed or not. Without a file, standard input is read. A name at FILE's end, as in oci-archive:FILE:REF,
chooses one image.

Everything is verified against its digest, and layers that are there already aren't unpacked again. If anything fails,
nothing of FILE is added.
"""
_EPILOG = """\
\b
examples:
  unionfs load -i image.tar
  podman save busybox | unionfs load
  unionfs load -i oci:layout:app
"""


def main(arguments: Sequence[str]) -> int:
    """Load as *arguments* say.

    Raises:
        UsageError: they can't be understood.
        ImageError, StoreError, OSError: an image can't be read or stored.
    """
    return run(command, arguments)


@click.command("load", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", required=False)
@click.option("-i", "--input", "option", metavar="FILE", help="The file or directory, '-' for standard input.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option(
    "--platform", metavar="OS/ARCH", callback=platform_of, help="The platform to take, by default this machine's."
)
@unpack_limits.options
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def command(limits: Changes, file: str | None, option: str | None, quiet: bool, platform: Platform | None) -> None:
    """Load what the options say."""
    if file is not None and option is not None:
        raise click.UsageError("FILE and --input both name the source")
    with (
        naming_options(),
        opened_store() as store,
        opened_archive(file or option or "-", limits.archive_limits(), store.spool) as (source, selector),
    ):
        images = _chosen(source, selector, platform)
        for image in images:
            warn_of_platform(image, platform)
        before = store.catalogue()
        _load(store, images, limits, quiet=quiet)
    for image in images:
        _tell(image, before)


def _chosen(source: Archive, selector: str | None, platform: Platform | None) -> list[Image]:
    if selector is not None:
        return [source.image(selector, platform)]
    return [source.image(f"@{listed.index}", platform) for listed in source.images]


def _load(store: Store, images: Sequence[Image], limits: Changes, *, quiet: bool) -> None:
    with store.loading(limits.layer_limits()) as loading:
        for image in images:
            with layer_progress(image, quiet=quiet) as report:
                loaded = loading.take(image, names_of(image), report)
            for warning in loaded.unpacked.warnings:
                warn(warning)


def _tell(image: Image, before: Catalogue) -> None:
    for name in names_of(image):
        old = before.by_name.get(name)
        if old is not None and old.id != image.config_digest:
            print(f"The image {name.familiar} already exists, leaving the old one with ID {old.id} without that name")
        print(f"Loaded image: {name.familiar}")
    if not names_of(image):
        print(f"Loaded image ID: {image.config_digest}")
