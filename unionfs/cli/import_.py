"""``unionfs import``: the tar of a root file system becomes an image of one layer."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from unionfs.archive import ArchiveError, decompress
from unionfs.cli.click_command import run
from unionfs.cli.images import opened_store
from unionfs.cli.new_image import made_now
from unionfs.cli.notices import warn
from unionfs.cli.report import escape
from unionfs.cli.source import platform_of, standard_input
from unionfs.cli.tag import new_name
from unionfs.image import Platform
from unionfs.image.instructions import changed
from unionfs.image.new_config import from_nothing
from unionfs.store.commit import add_image, writing_layer
from unionfs.tar import Limits, Reader, TarError
from unionfs.tar.source import Stream
from unionfs.tar.writer import Sink

_LAYOUT = {"oci-layout", "index.json"}
_DOCKERS = re.compile(r"(?:[0-9a-f]{64}(?:\.json|\.tar|/layer\.tar)|blobs/sha256/.*)")
"""What a file of ``docker save`` holds beside its manifest.json."""
_HELP = """\
Make an image whose one layer is the tar archive in FILE ('-' is standard input), a whole root file system, and print
its id. The archive may be compressed by gzip, bzip2, xz or zstd.

NAME is what the image is called; without one it is found by its id. An archive of images is for 'unionfs load'.
"""
_EPILOG = """\
\b
An INSTRUCTION is one of CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR with its
arguments, as in a Dockerfile.

\b
Examples:
  mmdebstrap trixie - | unionfs import - debian:mine
  unionfs import -c 'CMD ["/bin/sh"]' -m "the base" root.tar.xz demo/base
"""


def main(arguments: Sequence[str]) -> int:
    """Import as *arguments* say.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, ArchiveError, OSError: the archive can't be read or stored.
    """
    return run(_command, arguments)


@click.command("import", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", metavar="FILE")
@click.argument("name", metavar="[NAME]", required=False)
@click.option("-c", "--change", "changes", metavar="INSTRUCTION", multiple=True, help="Say how the image is run.")
@click.option("-m", "--message", default="", help="What the image is.")
@click.option(
    "--platform", metavar="OS/ARCH", callback=platform_of, help="What the image is for, by default this machine."
)
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(file: str, name: str | None, changes: tuple[str, ...], message: str, platform: Platform | None) -> None:
    names = [] if name is None else [new_name(name)]
    changed({}, changes)
    what = "standard input" if file == "-" else file
    with (
        opened_store() as store,
        store.using(),
        _opened(file) as stream,
        writing_layer(store, lambda sink: _copy(stream, sink, what)) as layer,
    ):
        step = made_now("unionfs import", comment=message or f"Imported from {escape(file)}")
        config = from_nothing(platform or Platform.host(), step, layer.diff_id, changes)
        warnings = add_image(store, config, (), layer, names)
    for text in warnings:
        warn(text)
    print(config.digest)


@contextmanager
def _opened(file: str) -> Iterator[Stream]:
    if file == "-":
        yield standard_input()
        return
    with Path(file).open("rb") as opened:
        yield opened


class _Copying:
    """A stream that writes all that is read from it to a sink."""

    def __init__(self, stream: Stream, sink: Sink) -> None:
        self._stream = stream
        self._sink = sink
        self.is_empty = True

    def read(self, size: int, /) -> bytes:
        """Read, and write what was read."""
        piece = self._stream.read(size)
        self.is_empty &= not piece
        self._sink.write(piece)
        return piece


def _copy(stream: Stream, sink: Sink, what: str) -> None:
    """Copy the tar, decompressed, after it was found to be one, and none of images.

    Raises:
        ArchiveError: it is something else, or damaged.
    """
    limits = Limits()
    try:
        copying = _Copying(decompress(stream, limits.bytes), sink)
        names = {_cleaned(entry.name) for entry in Reader(copying, limits)}
    except (TarError, ArchiveError) as error:
        raise ArchiveError(f"{what}: no tar archive of a root file system: {error}") from None
    if copying.is_empty:
        raise ArchiveError(f"{what}: no tar archive of a root file system: it is empty")
    is_dockers = "manifest.json" in names and any(_DOCKERS.fullmatch(name) for name in names)
    if is_dockers or names >= _LAYOUT:
        raise ArchiveError(f"{what}: it is an archive of images, not of a root file system; use 'unionfs load'")


def _cleaned(name: bytes) -> str:
    return name.decode("latin-1").removeprefix("./")
