"""What the name of a tar entry means as a path in a layer.

Names are cleaned as text, before any directory is looked at: ``.`` and empty components vanish and ``..`` takes the
component before it away. A cleaned path has no slash at either end; the layer's root is empty.
"""

import re

from unionfs.layer.unpack.errors import LayerError
from unionfs.layer.whiteout import PREFIX
from unionfs.tar import printable

AUFS = b".wh..wh."
"""Begins the names of aufs' own bookkeeping at the root of an old image's layer; none of it is content."""
AUFS_PLNK = b".wh..wh.plnk"
"""The directory of aufs that holds the files which hard links name."""

# A component that is empty, "." or "..", or begins as a whiteout does.
_ODD = re.compile(rb"(?:^|/)(?:\.{0,2}(?:/|$)|\.wh\.)")


def split(name: bytes, depth: int) -> tuple[bytes, bytes]:
    """Give the path of the directory that holds the entry *name*, and its name there; both are empty for the root.

    Raises:
        LayerError: ``..`` leads above the root, the path goes through more than *depth* directories, or one of those
            is named as a whiteout.
    """
    if name.startswith(b"./"):
        name = name[2:]
    if name.endswith(b"/"):
        name = name.rstrip(b"/")
    if _ODD.search(name) is None:
        if len(name) > depth and name.count(b"/") > depth:
            raise _too_deep(name, depth)
        parent, _, last = name.rpartition(b"/")
        return parent, last
    parts = _cleaned(name, depth, above_root=False)
    if not parts:
        return b"", b""
    if any(part.startswith(PREFIX) for part in parts[:-1]) and not parts[0].startswith(AUFS):
        raise LayerError(f"{printable(name)}: one of its directories has the name of a whiteout")
    return b"/".join(parts[:-1]), parts[-1]


def target(linkname: bytes, depth: int) -> bytes:
    """Give the path that a hard link's target means: from the layer's root, which ``..`` doesn't leave.

    Raises:
        LayerError: the path goes through more than *depth* directories.
    """
    return b"/".join(_cleaned(linkname, depth, above_root=True))


def join(parent: bytes, name: bytes) -> bytes:
    """Give the path of *name* in the directory *parent*."""
    return parent + b"/" + name if parent else name


def _cleaned(name: bytes, depth: int, *, above_root: bool) -> list[bytes]:
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if parts:
                parts.pop()
            elif not above_root:
                raise LayerError(f"{printable(name)}: the name leads above the root of the layer")
        elif part not in (b"", b"."):
            parts.append(part)
    if len(parts) > depth + 1:
        raise _too_deep(name, depth)
    return parts


def _too_deep(name: bytes, depth: int) -> LayerError:
    return LayerError(f"{printable(name)}: it lies more than {depth} directories deep (depth)", "depth")
