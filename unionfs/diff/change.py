"""One change, and how ``docker diff`` and ``podman diff`` show it."""

import stat
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from unionfs.layer.attributes import Attributes


class ChangeKind(Enum):
    """How a path differs; ``SAME`` is what didn't change but stands in a directory that was replaced."""

    ADDED = "A"
    CHANGED = "C"
    DELETED = "D"
    SAME = "="


class Change(NamedTuple):
    """A path, from the root and without a slash before it, that differs.

    ``attributes`` are those that it shows now, None where it is deleted. ``opaque``: a directory of the same name was
    there before, and all of it is gone. ``covered``: a directory above is opaque or new, so that what was there before
    is gone without further ado, and what is there now is the layer's own.
    """

    path: bytes
    kind: ChangeKind
    attributes: Attributes | None = None
    opaque: bool = False
    covered: bool = False

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory now."""
        return self.attributes is not None and self.attributes.is_directory

    @property
    def is_due(self) -> bool:
        """Whether it is a change by itself, and not only where something in it is one."""
        return self.kind is not ChangeKind.SAME or self.covered or self.opaque

    @property
    def is_stored(self) -> bool:
        """Whether a tar can hold what it is now; it can't hold nothing, nor a socket."""
        return self.attributes is not None and not stat.S_ISSOCK(self.attributes.mode)


def shown_lines(changes: Iterable[Change]) -> list[tuple[str, bytes]]:
    """Give letter and absolute path of each change, sorted by path; the root itself isn't shown."""
    shown = (change for change in changes if change.path and change.kind is not ChangeKind.SAME)
    return sorted(((change.kind.value, b"/" + change.path) for change in shown), key=lambda line: line[1])
