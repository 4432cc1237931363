"""``unionfs uppers``: the uppers that the store keeps by name."""

from collections.abc import Mapping, Sequence

import click

from unionfs.cli.click_command import run
from unionfs.cli.images import opened_store
from unionfs.cli.notices import fail
from unionfs.cli.output import listing, show
from unionfs.store import StoreError
from unionfs.store.store import Store
from unionfs.store.uppers import Upper

_HELP = """\
List the uppers that 'unionfs mount --rw=NAME' and 'unionfs shell --keep NAME' have made; with --rm, remove those that
are named, and what they hold.
"""
_EPILOG = """\
Fields for --format: Name, Image, ID (of the image) and Mountpoint, which is empty where it isn't mounted.

\b
examples:
  unionfs uppers
  unionfs uppers --rm web
"""
_HEADINGS = {"Name": "NAME", "Image": "IMAGE", "ID": "IMAGE ID", "Mountpoint": "MOUNTPOINT"}


def main(arguments: Sequence[str]) -> int:
    """List or remove uppers as *arguments* say.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, OSError: the store can't be read or written.
    """
    return run(command, arguments)


@click.command("uppers", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option("--rm", "removing", is_flag=True, help="Remove the uppers that are named.")
@click.option("-q", "--quiet", is_flag=True, help="Print only names.")
@click.option("--format", "form", metavar="FORMAT", help="How to print it: table, json or a template, as '{{.Name}}'.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def command(names: tuple[str, ...], form: str | None, *, removing: bool, quiet: bool) -> int:
    """List, or remove."""
    if removing != bool(names):
        raise click.UsageError("--rm goes with the names of uppers, and names with --rm")
    with opened_store() as store:
        if removing:
            return _remove(store, names)
        rows = _rows(store)
    show(listing(rows, _HEADINGS, list(_HEADINGS), "{{.Name}}" if quiet else form))
    return 0


def _rows(store: Store) -> list[dict[str, object]]:
    with store.using():
        places = {mount.upper: mount.mountpoint for mount in store.mounts.in_use()}
        return [_row(upper, places.get(upper.name, "")) for upper in store.uppers]


def _row(upper: Upper, mountpoint: str) -> dict[str, object]:
    return {"Name": upper.name, "Image": upper.use.image, "ID": upper.use.id.hex[:12], "Mountpoint": mountpoint}


def _remove(store: Store, names: Sequence[str]) -> int:
    failed = 0
    with store.alone():
        mounted = {mount.upper: mount.mountpoint for mount in store.mounts.in_use()}
        for name in names:
            try:
                _refuse_mounted(name, mounted)
                store.uppers.remove(store.uppers.require(name))
            except StoreError as error:
                fail(error)
                failed = 1
            else:
                print(name)
    return failed


def _refuse_mounted(name: str, mounted: Mapping[str, str]) -> None:
    if name in mounted:
        raise StoreError(f"the upper {name} is mounted at {mounted[name]}; unmount it first")
