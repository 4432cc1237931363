"""``unionfs check``: whether the store is whole."""

from collections.abc import Sequence

import click

from unionfs.cli.click_command import run
from unionfs.cli.images import opened_store
from unionfs.cli.output import JSON, listing, show
from unionfs.store.check import Damage, check, repair

_HELP = """\
Verify the store: every document and blob against its digest, and every unpacked layer by unpacking it anew. What is
wrong is listed, and the exit code is 1; nothing is printed where all is as it should be.

With --repair, damaged blobs and layers are removed, and images that can't be used without them; a layer is unpacked
again when it is needed. Layers that a mount uses stay, and the exit code is 1.
"""
_HEADINGS = {"Kind": "KIND", "Name": "NAME", "Reason": "REASON"}


def main(arguments: Sequence[str]) -> int:
    """Check the store as *arguments* say.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, OSError: the store can't be read, or mended.
    """
    return run(command, arguments)


@click.command("check", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--repair", "mending", is_flag=True, help="Mend what can be mended.")
@click.option("--format", "form", metavar="FORMAT", help="How to print it: table, json or a template.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def command(form: str | None, *, mending: bool) -> int:
    """Check, and mend."""
    # What is mended is what was found: nobody may load or mend it meanwhile.
    with opened_store() as store, store.alone() if mending else store.using():
        found = check(store)
        left = repair(store, found) if mending else found
        if mending:
            store.collect()
    if found or form == JSON:
        show(listing(list(map(_row, found)), _HEADINGS, list(_HEADINGS), form))
    return 1 if left else 0


def _row(damage: Damage) -> dict[str, object]:
    return {"Kind": damage.kind, "Name": damage.name, "Reason": damage.reason}
