"""How ``ls -l`` shows entries, and how they are shown to programs."""

import os
import stat
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from unionfs.cli.report import escape
from unionfs.layer.attributes import Attributes
from unionfs.view import Entry, View

_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}
_DEVICES = (stat.S_IFCHR, stat.S_IFBLK)
_SECOND = 1_000_000_000


def long_lines(view: View, rows: Sequence[tuple[str, Entry]]) -> list[str]:
    """Give a line for each entry under the name that it is shown by, in columns.

    Raises:
        OSError: a link can't be read.
    """
    cells = [_cells(entry.attributes) for _, entry in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for (name, entry), row in zip(rows, cells, strict=True):
        columns = [cell.ljust(width) if number == 0 else cell.rjust(width) for number, (cell, width) in
                   enumerate(zip(row, widths, strict=True))]  # fmt: skip
        arrow = f" -> {_target(view, entry)}" if stat.S_ISLNK(entry.attributes.mode) else ""
        lines.append(" ".join([*columns, escape(name + arrow)]))
    return lines


def _cells(shown: Attributes) -> tuple[str, ...]:
    size = _device(shown).replace(":", ", ") if shown.type_bits in _DEVICES else str(shown.size)
    when = _local(shown.mtime_ns // _SECOND)
    return stat.filemode(shown.mode), str(shown.nlink), str(shown.uid), str(shown.gid), size, when


def _device(shown: Attributes) -> str:
    return f"{os.major(shown.rdev)}:{os.minor(shown.rdev)}"


def _local(seconds: int) -> str:
    """Give a time as people here write it; one that no calendar has stays a number."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (OverflowError, OSError, ValueError):
        return f"@{seconds}"


def _target(view: View, entry: Entry) -> str:
    return os.fsdecode(view.readlink(entry.path))


def as_object(view: View, entry: Entry) -> dict[str, object]:
    """Give what a program may want to know of an entry.

    Raises:
        OSError: a link can't be read.
    """
    shown = entry.attributes
    return {
        "path": f"/{os.fsdecode(entry.path)}",
        "type": _TYPES[shown.type_bits],
        "mode": f"{stat.S_IMODE(shown.mode):04o}",
        "uid": shown.uid,
        "gid": shown.gid,
        "size": 0 if shown.is_directory else shown.size,
        "nlink": shown.nlink,
        "mtime": _rfc3339(shown.mtime_ns // _SECOND),
        "mtime_ns": shown.mtime_ns,
        "target": _target(view, entry) if stat.S_ISLNK(shown.mode) else None,
        "device": _device(shown) if shown.type_bits in _DEVICES else None,
    }


def _rfc3339(seconds: int) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return None
