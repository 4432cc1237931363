"""``unionfs commit``: the changes in an upper become a layer, and an image that has it on top."""

from collections.abc import Sequence

import click

from unionfs.cli.click_command import run
from unionfs.cli.images import opened_store
from unionfs.cli.new_image import commit, made_now
from unionfs.cli.tag import new_name

_HELP = """\
Make an image of the image that UPPER is mounted over and of the changes in UPPER, and print its id.

UPPER is the name that was given to 'mount --rw=NAME' or 'shell --keep NAME'; it stays, with its changes. The new image
shares the layers of the other one. NAME is what it is called; without one it is found by its id.
"""
_EPILOG = """\
\b
An INSTRUCTION is one of CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR with its
arguments, as in a Dockerfile.

\b
Examples:
  unionfs commit web demo/web:2
  unionfs commit -a "Ada <ada@example.org>" -m "with a page" -c 'CMD ["httpd", "-f"]' -c 'EXPOSE 80' web demo/web:2
"""


def main(arguments: Sequence[str]) -> int:
    """Commit as *arguments* say.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, ArchiveError, ChangedError, OSError: there is no such upper, it can't be read, or the
            image can't be stored.
    """
    return run(_command, arguments)


@click.command("commit", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("upper", metavar="UPPER")
@click.argument("name", metavar="[NAME]", required=False)
@click.option("-a", "--author", default="", help="Who made the change.")
@click.option("-m", "--message", default="", help="What the change is.")
@click.option("-c", "--change", "changes", metavar="INSTRUCTION", multiple=True, help="Change how the image is run.")
@click.option(
    "-p", "--pause", is_flag=True, expose_value=False,
    help="Taken for docker's sake: an upper in use is always read so that no file of the image is torn.",
)  # fmt: skip
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(upper: str, name: str | None, author: str, message: str, changes: tuple[str, ...]) -> None:
    names = [] if name is None else [new_name(name)]
    with opened_store() as store, store.using():
        step = made_now(f"unionfs commit {upper}", author, message)
        print(commit(store, store.uppers.require(upper), step, names, changes))
