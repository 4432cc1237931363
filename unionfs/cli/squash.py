"""``unionfs squash``: all layers of an image become one."""

from collections.abc import Sequence

import click

from unionfs.cli.click_command import run
from unionfs.cli.images import opened_image, opened_store
from unionfs.cli.new_image import made_now
from unionfs.cli.notices import warn
from unionfs.cli.tag import new_name
from unionfs.diff import write_tree
from unionfs.image.new_config import squashed
from unionfs.store.commit import add_image, writing_layer
from unionfs.view import open_view

_HELP = """\
Make an image of one layer that shows what all layers of IMAGE show together, and print its id.

What a layer of IMAGE hides of those beneath it isn't in it. The new image is run as IMAGE is, and its history tells
the same steps. IMAGE stays as it is. NAME is what the new image is called; without one it is found by its id.

IMAGE is a name or an id in the store, or docker-archive:FILE[:REF], oci-archive:FILE[:REF] or oci:DIR[:REF].
"""
_EPILOG = """\
\b
Example:
  unionfs squash demo/web:2 demo/web:small
"""


def main(arguments: Sequence[str]) -> int:
    """Squash as *arguments* say.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, ArchiveError, OSError: there is no such image, it can't be read, or the new one can't
            be stored.
    """
    return run(_command, arguments)


@click.command("squash", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("image", metavar="IMAGE")
@click.argument("name", metavar="[NAME]", required=False)
@click.option("-m", "--message", default="", help="What to say of it in the history.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(image: str, name: str | None, message: str) -> None:
    names = [] if name is None else [new_name(name)]
    warnings: list[str] = []
    with (
        opened_store() as store,
        opened_image(store, image) as stacked,
        open_view(stacked.lowers) as tree,
        writing_layer(store, lambda sink: warnings.extend(write_tree(tree, sink))) as layer,
    ):
        step = made_now("unionfs squash", comment=message or f"all layers of {stacked.image.config_digest}")
        config = squashed(stacked.image.config, step, layer.diff_id)
        warnings.extend(add_image(store, config, (), layer, names))
    for text in warnings:
        warn(text)
    print(config.digest)
