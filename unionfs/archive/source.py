"""Opening an image source: what it is, is told by looking, and not by its name."""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from unionfs.archive import docker_archive
from unionfs.archive.decompress import is_compressed
from unionfs.archive.directory import Directory
from unionfs.archive.docker_archive import DockerArchive
from unionfs.archive.error import ArchiveError, NoTarError, naming
from unionfs.archive.files import Files
from unionfs.archive.images import Image, ImageRef
from unionfs.archive.indexed import indexed
from unionfs.archive.layout import Layout
from unionfs.archive.limits import DEFAULTS, Limits
from unionfs.archive.members import Members
from unionfs.archive.spool import spooled
from unionfs.archive.stream import Window
from unionfs.image import Platform, shown
from unionfs.image import layout as layout_names

if TYPE_CHECKING:
    from unionfs.tar.source import Stream

TRANSPORTS = ("docker-archive:", "oci-archive:", "oci:")
"""What a source that isn't in the store begins with, as in containers-transports(5)."""
_NO_MATCH = "payload does not match any of the supported image formats"
_ROOTFS = frozenset({"bin", "dev", "etc", "lib", "proc", "sbin", "usr", "var"})
"""Names of which a root file system has at least two at its top, and an image archive none."""


class _Format(Protocol):
    """The images of a source whose format is known."""

    images: tuple[ImageRef, ...]

    def image(self, selector: str | None, platform: Platform, /) -> Image: ...


class Archive:
    """An open image source; a context manager, since it holds a descriptor."""

    def __init__(self, name: str, files: Files, form: _Format) -> None:
        self.name = name
        """The path or other name it was opened by."""
        self.images = form.images
        """What it lists, in its own order."""
        self._files = files
        self._format = form

    def image(self, selector: str | None = None, platform: Platform | None = None) -> Image:
        """Return one image: the only one, or the one that a tag, a full or short name or ``@N`` selects.

        Where an index leaves a choice it is the one for ``platform``, by default this machine's; an image
        that is listed by itself is taken whatever its platform. Raises ArchiveError if there is no such
        image, or its documents or layers are missing, wrong or unsupported.
        """
        with naming(self.name):
            return replace(self._format.image(selector, platform or Platform.host()), source=self.name)

    def close(self) -> None:
        """Release the source; layers that are being read stay readable."""
        self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def parse_source(text: str) -> tuple[str, str | None]:
    """Return the path and the selector in a source as the user names it.

    It is ``docker-archive:FILE[:REF]``, ``oci-archive:FILE[:REF]`` or ``oci:DIR[:REF]``, where the path
    ends at the first colon as in containers-transports(5), or a path with no such prefix and no selector.
    The prefix doesn't decide how the source is read. Raises ArchiveError if the path or the selector is
    empty.
    """
    path, colon, selector = text, "", ""
    for transport in TRANSPORTS:
        if text.startswith(transport):
            path, colon, selector = text.removeprefix(transport).partition(":")
    if not path:
        raise ArchiveError(f"{shown(text)} names no file")
    if colon and not selector:
        raise ArchiveError(f"{shown(text)} ends in a colon without a name after it")
    return path, selector or None


def open_archive(path: str | os.PathLike[str], limits: Limits = DEFAULTS, spool: Path | None = None) -> Archive:
    """Open a docker archive or an OCI layout, which is a directory, a tar archive or a compressed tar archive.

    A compressed archive or a pipe is first put into unnamed files in the directory ``spool``, by default ``$TMPDIR``.
    Raises ArchiveError for what is none of these, and OSError.
    """
    name = os.fspath(path)
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with naming(name), _naming_formats():
            return _recognise(name, _files(descriptor, limits, spool), limits)
    finally:
        os.close(descriptor)


def open_stream(stream: "Stream", name: str, limits: Limits = DEFAULTS, spool: Path | None = None) -> Archive:
    """Open an archive that can be read only once, such as standard input, as ``open_archive`` does a pipe.

    ``name`` stands for it in errors. Raises ArchiveError and OSError.
    """
    with naming(name), _naming_formats():
        return _recognise(name, spooled(stream, limits, spool), limits)


def _files(descriptor: int, limits: Limits, spool: Path | None) -> Files:
    """Return the files in what was opened."""
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        return Directory(descriptor)
    if stat.S_ISREG(status.st_mode):
        with Window(descriptor, 0, status.st_size) as window:
            if not is_compressed(window):
                return indexed(descriptor, status.st_size, limits)
            window.seek(0)
            return spooled(window, limits, spool)
    if stat.S_ISFIFO(status.st_mode):
        with open(descriptor, "rb", buffering=0, closefd=False) as pipe:
            return spooled(pipe, limits, spool)
    raise ArchiveError("it is neither a file nor a directory")


@contextmanager
def _naming_formats() -> Iterator[None]:
    """Say of what is no archive which formats were tried."""
    try:
        yield
    except NoTarError as error:
        raise ArchiveError(f"{_NO_MATCH} (docker-archive, oci-archive, oci): {error}") from None


def _recognise(name: str, files: Files, limits: Limits) -> Archive:
    with ExitStack() as undo:
        undo.callback(files.close)
        archive = Archive(name, files, _format(files, limits))
        undo.pop_all()
        return archive


def _format(files: Files, limits: Limits) -> _Format:
    """Return the format of the files.

    What ``docker save`` writes now is both formats at once. The OCI layout is preferred, since it keeps the
    manifest and so its digest, unless it lists no image. A directory can only be a layout.
    """
    top = files.top_names()
    list_of_docker = isinstance(files, Members) and docker_archive.MANIFEST in top
    if {layout_names.MARKER, layout_names.INDEX} <= top:
        layout = Layout(files, limits)
        if layout.images or not list_of_docker:
            return layout
    if list_of_docker:
        return DockerArchive(files, limits)
    lacking = " and no ".join(part for part in (layout_names.MARKER, layout_names.INDEX) if part not in top)
    tried = _not_docker(top) if isinstance(files, Members) else ""
    is_root = len(top & _ROOTFS) > 1
    hint = "; it looks like a root file system, of which 'unionfs import' makes an image" if is_root else ""
    raise ArchiveError(f"{_NO_MATCH}: {tried}oci-archive, oci: it has no {lacking}{hint}")


def _not_docker(top: set[str]) -> str:
    """Return why an archive with these names at its top is no docker archive."""
    if "repositories" in top:
        return "docker-archive: it is in the format from before docker 1.10, which is not supported; "
    return f"docker-archive: it has no {docker_archive.MANIFEST}; "
