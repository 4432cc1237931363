"""The further names of hard links that a change reached by one of them.

A lower file with several names that was changed by one shows the change at all of them (the index of hard links in the
upper's workdir), even after that one was removed. Where they are nobody wrote down, so that the tree has to be
searched, if and only if there are any.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

from unionfs.diff.change import Change
from unionfs.diff.comparing import identity
from unionfs.union.inode import Identity
from unionfs.view import View


def other_names(changes: Iterable[Change], now: View) -> dict[bytes, set[bytes]]:
    """Give the names that aren't among *changes* but are of the same file as one that is, with all directories above.

    They are given by the path of the directory they are in.

    Raises:
        OSError: reading a layer failed.
    """
    found: Counter[Identity] = Counter()
    links: dict[Identity, int] = {}
    known: set[bytes] = set()
    for change in changes:
        if change.attributes is None or change.is_directory or change.attributes.nlink < 2:
            continue
        file = identity(now.places(change.path)[0])
        found[file] += 1
        links[file] = change.attributes.nlink
        known.add(change.path)
    missing = {file for file, count in found.items() if count < links[file]}
    missing.update(map(identity, now.indexed()))
    return _search(now, missing, known) if missing else {}


def _search(now: View, missing: set[Identity], known: set[bytes]) -> dict[bytes, set[bytes]]:
    names: dict[bytes, set[bytes]] = defaultdict(set)
    for entry in now.walk():
        if entry.attributes.is_directory or entry.path in known:
            continue
        if identity(now.places(entry.path)[0]) in missing:
            path = entry.path
            while path:
                path, _, name = path.rpartition(b"/")
                names[path].add(name)
    return dict(names)
