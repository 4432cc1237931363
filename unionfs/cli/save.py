"""``unionfs save``: images of the store, or of other archives, become an archive or a layout."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import click

from unionfs.archive import Image, open_archive, parse_source
from unionfs.archive.source import TRANSPORTS
from unionfs.archive.writing import (
    Compression,
    Contents,
    Form,
    compressing,
    gathered,
    output,
    write_archive,
    write_layout,
)
from unionfs.archive.writing.blobs import Copied
from unionfs.cli.arguments import UsageError
from unionfs.cli.bars import byte_bars
from unionfs.cli.click_command import run
from unionfs.cli.images import opened_store
from unionfs.image import ImageError, Reference
from unionfs.store.images import Catalogue
from unionfs.store.store import Store
from unionfs.tar.writer import Sink

_DIRECTORY = "oci-dir"
_FORMS = [*(form.value for form in Form), _DIRECTORY]
_ENDINGS = {
    ".gz": Compression.GZIP,
    ".tgz": Compression.GZIP,
    ".zst": Compression.ZSTD,
    ".tzst": Compression.ZSTD,
}
_HELP = """\
Save each IMAGE, a name or an id in the store, to one archive on standard output, or to FILE.

An image given by a name is saved under that name, one given by its id under none. What several images share is saved
once. The same images always become the same bytes.
"""
_EPILOG = """\
FILE appears only when it is complete. An IMAGE may also be docker-archive:FILE[:REF], oci-archive:FILE[:REF] or
oci:DIR[:REF], with the names that it has there.
"""


def main(arguments: Sequence[str]) -> int:
    """Save as *arguments* say.

    Raises:
        UsageError: they can't be understood.
        StoreError, ImageError, OSError: there is no such image, it is damaged, or the archive can't be written.
    """
    return run(_command, arguments)


@click.command("save", help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option("-o", "--output", "path", metavar="FILE", help="Write to FILE; for oci-dir a directory.")
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMS),
    default=Form.DOCKER_ARCHIVE.value,
    show_default=True,
    help="docker-archive is what every program loads.",
)
@click.option(
    "--compress",
    type=click.Choice([compression.value for compression in Compression]),
    help="Compress the archive; by default as the end of FILE says: .gz, .tgz, .zst or .tzst.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(images: tuple[str, ...], path: str | None, form: str, compress: str | None, *, quiet: bool) -> None:
    target = _target(path, form, compress)
    with opened_store() as store:
        target.check(store)
        with _gathered(store, images) as contents, _progress(contents, quiet=quiet) as copied:
            target.write(contents, copied)


@dataclass(frozen=True, slots=True)
class _Archive:
    """An archive in a file, or on standard output."""

    path: str | None
    form: Form
    compression: Compression

    def check(self, _store: Store) -> None:
        if self.path is None and sys.stdout.isatty():
            raise UsageError("cowardly refusing to save to a terminal: use -o FILE or redirect standard output")

    def write(self, contents: Contents, copied: Copied) -> None:
        if self.path is None:
            self._write(sys.stdout.buffer, contents, copied)
            sys.stdout.buffer.flush()
        else:
            with output(self.path) as file:
                self._write(file, contents, copied)

    def _write(self, file: Sink, contents: Contents, copied: Copied) -> None:
        with compressing(file, self.compression) as sink:
            write_archive(contents, self.form, sink, copied)


@dataclass(frozen=True, slots=True)
class _Layout:
    """A layout in a directory."""

    path: str

    def check(self, store: Store) -> None:
        if os.path.exists(self.path) and os.path.samefile(self.path, store.path):
            raise UsageError(f"{self.path} is the store itself")

    def write(self, contents: Contents, copied: Copied) -> None:
        write_layout(self.path, contents, copied)


def _target(path: str | None, form: str, compress: str | None) -> _Archive | _Layout:
    """Give what the options ask to be written."""
    path = None if path == "-" else path
    if path == "":
        raise UsageError("the name of the file to write is empty")
    if form != _DIRECTORY:
        ending = next((way for end, way in _ENDINGS.items() if (path or "").endswith(end)), Compression.NONE)
        return _Archive(path, Form(form), Compression(compress) if compress else ending)
    if path is None or compress not in (None, Compression.NONE.value):
        raise UsageError("oci-dir is a directory: it takes -o DIR and can't be compressed as a whole")
    return _Layout(path)


@contextmanager
def _gathered(store: Store, arguments: Sequence[str]) -> Iterator[Contents]:
    """Find all images before anything is written; give what they consist of, which stays meanwhile."""
    with ExitStack() as held:
        held.enter_context(store.using())
        catalogue = store.catalogue()
        yield gathered(
            [
                _of_file(argument, held) if argument.startswith(TRANSPORTS) else _of_store(argument, store, catalogue)
                for argument in arguments
            ]
        )


def _of_file(argument: str, held: ExitStack) -> Image:
    """Give an image of an archive or a layout; where a name chose it, under that one alone."""
    path, selector = parse_source(argument)
    image = held.enter_context(open_archive(path)).image(selector)
    chosen = _called(selector, image.names)
    return replace(image, names=chosen) if chosen else image


def _of_store(argument: str, store: Store, catalogue: Catalogue) -> Image:
    """Give an image under the name that it is asked for by."""
    image = store.open(catalogue.find(argument))
    return replace(image, names=_called(argument, image.names))


def _called(text: str | None, names: Sequence[str]) -> tuple[str, ...]:
    """Give the one of *names* that *text* means, if it means one."""
    try:
        wanted = "" if text is None else str(Reference.parse(text))
    except ImageError:
        return ()
    return tuple(name for name in names if name == wanted)


@contextmanager
def _progress(contents: Contents, *, quiet: bool) -> Iterator[Copied]:
    """Show how much has been saved."""
    done = 0
    with byte_bars(quiet=quiet) as show:

        def copied(count: int) -> None:
            nonlocal done
            done += count
            show("saving", done, contents.size)

        yield copied
