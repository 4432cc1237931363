"""Compares the tree that this program shows with what another shows of the same layers, or with what it showed before.

Inode numbers and change times belong to whoever shows a tree; which names share an inode doesn't.
"""

import stat
from collections import defaultdict
from collections.abc import Collection, Mapping

from tests.snapshots import Snapshot, differences

_THEIR_OWN = frozenset({"ino", "ctime_ns"})


def contradictions(
    expected: Snapshot,
    shown: Snapshot,
    *,
    ignoring: Collection[str] = (),
    but_for: Mapping[str, Collection[str]] | None = None,
) -> list[str]:
    """Name, one line each, where ``shown`` isn't what ``expected`` says.

    ``ignoring`` are fields that aren't compared anywhere, ``but_for`` the fields that aren't compared for some paths.
    """
    lines = differences(expected, shown, _THEIR_OWN | set(ignoring))
    excused = tuple(f"{path}: {field} was " for path, fields in (but_for or {}).items() for field in fields)
    lines = [line for line in lines if not line.startswith(excused)]
    if "nlink" not in ignoring:
        lines += _different_links(
            expected, shown, {path for path, fields in (but_for or {}).items() if "nlink" in fields}
        )
    return lines


def changes_since(before: Snapshot, now: Snapshot) -> list[str]:
    """Name what one mount shows differently from before, down to inode numbers and change times.

    The change times of directories are left out: what is copied up into one changes it on disk, and of that the kernel
    learns only when it asks for the directory again.
    """
    directories = [path for path, entry in now.items() if stat.S_ISDIR(entry.mode)]
    unseen = tuple(f"{path}: ctime_ns was " for path in directories)
    return [line for line in differences(before, now) if not line.startswith(unseen)]


def _different_links(expected: Snapshot, shown: Snapshot, excused: set[str]) -> list[str]:
    wanted, found = _link_groups(expected, excused), _link_groups(shown, excused)
    return [f"these names share an inode in one tree only: {sorted(group)}" for group in wanted ^ found]


def _link_groups(tree: Snapshot, excused: set[str]) -> set[frozenset[str]]:
    groups: dict[int, set[str]] = defaultdict(set)
    for path, entry in tree.items():
        if entry.nlink > 1 and path not in excused and not stat.S_ISDIR(entry.mode):
            groups[entry.ino].add(path)
    return {frozenset(group) for group in groups.values()}
