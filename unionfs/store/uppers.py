"""Uppers that the store keeps: those with a name, which stay, and one for each mount, which goes with it.

Owns their directories. An upper's ``image`` file says which image it is an upper of; that image's content stays as
long as the upper does. Whether one is mounted is known by the lock of the upper itself (layer/open_upper.py).
"""

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unionfs.image import Descriptor, Digest
from unionfs.image.canonical_json import encoded
from unionfs.image.strict_json import Fields, parse
from unionfs.layer import private_xattrs
from unionfs.layer.unpack import remove_tree
from unionfs.linux import xattrs
from unionfs.store.error import StoreError
from unionfs.store.layout import UPPERS, StoreLayout, write_synced

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_IMAGE = b"image"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Use:
    """What a mount or an upper needs of the store."""

    image: str
    """What the user called it."""
    id: Digest
    manifest: Descriptor
    layers: tuple[str, ...]
    """The names of the layer directories, the lowest first."""

    @classmethod
    def read(cls, content: bytes, what: str) -> "Use":
        """Return what was written as ``as_bytes`` gives it; raises ImageError where it wasn't."""
        fields = Fields(parse(content, what), what)
        return cls(
            image=fields.required_text("image"),
            id=Digest.parse(fields.required_text("id")),
            manifest=Descriptor.read(fields.required_fields("manifest")),
            layers=fields.texts("layers"),
        )

    def as_bytes(self, **others: object) -> bytes:
        """Return a JSON document with this, and *others*, in it."""
        document = {"image": self.image, "id": str(self.id), "manifest": self.manifest.as_json(), "layers": self.layers}
        return encoded({**document, **others}, "record")


@dataclass(frozen=True, slots=True)
class Upper:
    """An upper with its workdir; ``name`` is empty for one that goes with its mount."""

    name: str
    use: Use
    path: Path

    @property
    def upper(self) -> Path:
        """The directory that holds the changes."""
        return self.path / "upper"

    @property
    def work(self) -> Path:
        """Its workdir."""
        return self.path / "work"


class Uppers:
    """The uppers with a name. The content lock is held by whoever calls."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout

    def get(self, name: str) -> Upper | None:
        """Give the upper *name*, None where there is none.

        Raises:
            StoreError: that is no name.
        """
        check_name(name)
        return self._read(name) if name in os.listdir(self._directory) else None

    def require(self, name: str) -> Upper:
        """Give the upper *name*.

        Raises:
            StoreError: there is none.
        """
        found = self.get(name)
        if found is None:
            raise StoreError(f"no such upper: {name}; 'unionfs uppers' lists those that there are")
        return found

    def make(self, name: str, use: Use, top: Path) -> Upper:
        """Make the upper *name* for an image whose topmost layer is *top*, or give the one that is there by then.

        Raises:
            StoreError: that is no name.
            OSError: there is no room, or the store can't be written.
        """
        check_name(name)
        aside, directory = self._layout.aside(), self._layout.fd
        os.mkdir(aside, 0o700, dir_fd=directory)
        try:
            make_directories(directory, aside, top)
            write_synced(directory, os.path.join(aside, _IMAGE), use.as_bytes())
            self._layout.sync_directory(aside)
            os.rename(aside, os.path.join(UPPERS, os.fsencode(name)), src_dir_fd=directory, dst_dir_fd=directory)
        except OSError as error:
            remove_tree(directory, aside)
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        else:
            self._layout.sync_directory(UPPERS)
        return self._read(name)

    def remove(self, upper: Upper) -> None:
        """Remove an upper that isn't mounted: its name first, at once, then what it consists of."""
        aside = self._layout.aside()
        path = os.path.join(UPPERS, os.fsencode(upper.name))
        os.rename(path, aside, src_dir_fd=self._layout.fd, dst_dir_fd=self._layout.fd)
        remove_tree(self._layout.fd, aside)

    def __iter__(self) -> Iterator[Upper]:
        """Give all of them, by name."""
        for name in sorted(os.listdir(self._directory)):
            if NAME.fullmatch(name):
                yield self._read(name)

    @property
    def _directory(self) -> Path:
        return self._layout.path / os.fsdecode(UPPERS)

    def _read(self, name: str) -> Upper:
        content = self._layout.read(os.path.join(UPPERS, os.fsencode(name), _IMAGE))
        return Upper(name, Use.read(content, f"the record of the upper {name}"), self._directory / name)


def check_name(name: str) -> None:
    """Raise StoreError unless *name* may be that of an upper."""
    if not NAME.fullmatch(name):
        raise StoreError(f"invalid name of an upper: {name!r}: up to 128 letters, digits, '_', '.' and '-', not first")


def make_directories(directory: int, path: bytes, top: Path) -> None:
    """Make ``upper`` and ``work`` in *path*; the upper's root shows what the root of the layer *top* does."""
    for name in (b"upper", b"work"):
        os.mkdir(os.path.join(path, name), 0o700, dir_fd=directory)
    upper = os.open(os.path.join(path, b"upper"), _DIRECTORY, dir_fd=directory)
    source = os.open(top, _DIRECTORY)
    try:
        _become_alike(upper, source)
    finally:
        os.close(upper)
        os.close(source)


def _become_alike(upper: int, source: int) -> None:
    """Give the root of an upper what the root beneath shows: of two merged directories the upper one's counts."""
    found = os.fstat(source)
    if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
        os.fchown(upper, found.st_uid, found.st_gid)
    os.fchmod(upper, found.st_mode & 0o7777)
    for attribute in xattrs.list_names(source):
        value = xattrs.get(source, attribute)
        says_owner = attribute in private_xattrs.OVERRIDES
        if value is not None and (says_owner or not private_xattrs.is_private(attribute)):
            xattrs.set_(upper, attribute, value)
    os.utime(upper, ns=(found.st_atime_ns, found.st_mtime_ns))
