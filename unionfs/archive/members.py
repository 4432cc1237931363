"""The members of a tar archive by name: indexed once from their headers, then read in place.

A name is only ever looked up among the members, so no name or link can lead out of the archive.
"""

import os
from dataclasses import dataclass

from unionfs.archive.error import ArchiveError
from unionfs.archive.limits import Limits
from unionfs.archive.stream import CHUNK, Window
from unionfs.image import shown
from unionfs.tar import Entry, Kind, LimitError, Reader, TarError
from unionfs.tar import Limits as TarLimits

_BLOCK = 512
_UNBOUNDED = 1 << 62
_ZEROS = bytes(CHUNK)


@dataclass(frozen=True, slots=True)
class _File:
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Link:
    target: bytes | None
    """The path of what it stands for, None if that isn't in the archive."""


_Member = _File | _Link | Kind
"""What a path stands for; a kind alone is something that can't be read."""


class Members:
    """The members of an uncompressed archive in an open file. Of members with one name the last counts."""

    def __init__(self, descriptor: int, size: int, limits: Limits) -> None:
        """Index the archive in the ``size`` bytes of ``descriptor``; raises ArchiveError if it isn't a whole one.

        The descriptor is duplicated, so the caller's own may be closed.
        """
        self._members: dict[bytes, _Member] = {}
        headers = _Headers(descriptor, size)
        tar_limits = TarLimits(entries=limits.members, bytes=_UNBOUNDED)
        try:
            for entry in Reader(headers, tar_limits):
                path = _path(entry.name)
                if path:
                    self._members[path] = _member(entry, path, headers.position)
                if entry.kind is Kind.FILE and entry.sparse is None:
                    headers.pass_over(entry.size)
        except LimitError as error:
            if error.limit != "entries":
                raise ArchiveError(str(error)) from None
            raise ArchiveError(
                f"its number of members is over the limit of {limits.members} (members)", "members"
            ) from None
        except TarError as error:
            raise ArchiveError(f"it is not a whole tar archive: {error}") from None
        self._descriptor = os.dup(descriptor)

    def open(self, path: str) -> Window:
        """Return a member's content, following one link; raises ArchiveError if it isn't a plain file."""
        name = _path(path.encode())
        if name is None:
            raise ArchiveError(f"{shown(path)} leads out of the archive")
        member = self._members.get(name)
        if isinstance(member, _Link):
            member = self._linked(member, path)
        if member is None:
            raise ArchiveError(f"{shown(path)} is missing in the archive")
        if not isinstance(member, _File):
            raise ArchiveError(f"{shown(path)} in the archive is no plain file")
        return Window(self._descriptor, member.offset, member.size)

    def top_names(self) -> set[str]:
        """Return the first part of every member's path."""
        return {path.partition(b"/")[0].decode(errors="surrogateescape") for path in self._members}

    def close(self) -> None:
        """Close the archive; windows that are open stay good."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        # What is opened from now on fails, and doesn't read whatever gets the same number.
        self._descriptor = -1

    def _linked(self, link: _Link, path: str) -> _File | Kind:
        """Return what a link stands for; ``docker save`` writes links to files only, so a chain is refused."""
        if link.target is None:
            raise ArchiveError(f"{shown(path)} is a link that leads out of the archive")
        member = self._members.get(link.target)
        if member is None:
            raise ArchiveError(f"{shown(path)} is a link to {shown(link.target)}, which is missing in the archive")
        if isinstance(member, _Link):
            raise ArchiveError(f"{shown(path)} is a link to the link {shown(link.target)}")
        return member


def _member(entry: Entry, path: bytes, offset: int) -> _Member:
    if entry.kind is Kind.FILE and entry.sparse is None:
        return _File(offset, entry.size)
    if entry.kind is Kind.HARDLINK:
        return _Link(_path(entry.linkname))
    if entry.kind is Kind.SYMLINK:
        return _Link(_symlink_target(path, entry.linkname))
    # A sparse file is among these, since its data isn't in one piece; no tool stores an image's files that way.
    return entry.kind


def _path(name: bytes) -> bytes | None:
    """Return a member's name in its one form, or None if it steps up."""
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    return None if b".." in parts else b"/".join(parts)


def _symlink_target(path: bytes, target: bytes) -> bytes | None:
    """Return the path that a symbolic link at ``path`` means, or None if it is outside the archive."""
    if target.startswith(b"/"):
        return None
    parts = path.split(b"/")[:-1]
    for part in target.split(b"/"):
        if part == b"..":
            if not parts:
                return None
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


class _Headers:
    """The archive as the tar reader gets it: no byte ahead of need, and zeros where the content of members is.

    So the position where an entry appears is that of its content, and an archive of many gigabytes is
    indexed by reading its headers alone.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self.position = 0
        """Bytes given so far."""
        self._descriptor = descriptor
        self._size = size
        self._content_end = 0

    def pass_over(self, size: int) -> None:
        """Give zeros for the next ``size`` bytes, as far as the file has them."""
        self._content_end = min(self.position + size, self._size)

    def read(self, size: int, /) -> bytes:
        """Return what comes next, at most one block where it is really read."""
        left = self._content_end - self.position
        if left > 0:
            piece = _ZEROS[: min(size, left)]
        else:
            piece = os.pread(self._descriptor, min(size, _BLOCK - self.position % _BLOCK), self.position)
        self.position += len(piece)
        return piece
