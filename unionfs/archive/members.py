"""The members of a tar archive by name, each in one piece of a file.

A name is only ever looked up among the members, so no name or link can lead out of the archive. How the pieces came to
be, by indexing an archive in a file or by spooling a stream, is the business of ``indexed`` and ``spool``.
"""

import errno
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from unionfs.archive.error import ArchiveError, NoTarError
from unionfs.archive.limits import Limits
from unionfs.archive.stream import Window
from unionfs.image import shown
from unionfs.tar import Entry, Kind, LimitError, Reader, TarError
from unionfs.tar import Limits as TarLimits
from unionfs.tar.source import Stream

_UNBOUNDED = 1 << 62


@dataclass(frozen=True, slots=True)
class Piece:
    """Where a member's content is."""

    descriptor: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Link:
    target: bytes | None
    """The path of what it stands for, None if that isn't in the archive."""


Member = Piece | _Link | Kind
"""What a path stands for; a kind alone is something that can't be read."""


class Members:
    """The members of an archive. Of members with one name the last counts."""

    def __init__(self, members: Mapping[bytes, Member], descriptors: Iterable[int]) -> None:
        """Look up *members*; *descriptors*, which they lie in, are closed with this."""
        self._members = members
        self._descriptors = list(descriptors)

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
        if not isinstance(member, Piece):
            raise ArchiveError(f"{shown(path)} in the archive is no plain file")
        if not self._descriptors:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return Window(member.descriptor, member.offset, member.size)

    def top_names(self) -> set[str]:
        """Return the first part of every member's path."""
        return {path.partition(b"/")[0].decode(errors="surrogateescape") for path in self._members}

    def close(self) -> None:
        """Close the archive; windows that are open stay good."""
        # What is opened from now on fails, and doesn't read whatever gets the same number.
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _linked(self, link: _Link, path: str) -> Piece | Kind:
        """Return what a link stands for; ``docker save`` writes links to files only, so a chain is refused."""
        if link.target is None:
            raise ArchiveError(f"{shown(path)} is a link that leads out of the archive")
        member = self._members.get(link.target)
        if member is None:
            raise ArchiveError(f"{shown(path)} is a link to {shown(link.target)}, which is missing in the archive")
        if isinstance(member, _Link):
            raise ArchiveError(f"{shown(path)} is a link to the link {shown(link.target)}")
        return member


def read_members(stream: Stream, limits: Limits, place: Callable[[Entry, Reader], Piece]) -> dict[bytes, Member]:
    """Read an archive; *place* says where the content of a plain file is to be found.

    Raises:
        ArchiveError: it isn't a whole tar archive, or has too many members.
    """
    members: dict[bytes, Member] = {}
    try:
        reader = Reader(stream, TarLimits(entries=limits.members, bytes=_UNBOUNDED))
        for entry in reader:
            path = _path(entry.name)
            is_plain = entry.kind is Kind.FILE and entry.sparse is None
            piece = place(entry, reader) if is_plain else None
            if path:
                members[path] = piece or _without_content(entry, path)
    except LimitError as error:
        if error.limit != "entries":
            raise ArchiveError(str(error)) from None
        raise ArchiveError(
            f"its number of members is over the limit of {limits.members} (members)", "members"
        ) from None
    except TarError as error:
        raise NoTarError(f"it is not a whole tar archive: {error}") from None
    return members


def _without_content(entry: Entry, path: bytes) -> Member:
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
