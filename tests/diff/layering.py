"""Layers made of uppers, put on the same lowers, and shown by the kernel's overlayfs."""

import io
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.mounts import mount, unmount_or_detach
from tests.snapshots import Snapshot, differences
from unionfs.diff import Change, layer_changes, shown_lines, write_changes
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import Directory
from unionfs.layer.lower import open_lower
from unionfs.layer.unpack import Staging, probe, put_on, settle, unpack
from unionfs.tar import Entry, Limits, Reader
from unionfs.view import open_view

NOT_STORED = frozenset({"ino", "ctime_ns", "nlink"})
"""What a layer doesn't say of a file; which names are one file is compared apart."""
PRIVATE = ("trusted.", "user.overlay.", "user.fuseoverlayfs.")


@dataclass(frozen=True)
class Made:
    """The layer that was made of an upper."""

    changes: Sequence[Change]
    archive: bytes
    warnings: Sequence[str]

    @property
    def lines(self) -> list[str]:
        """The changes as ``docker diff`` shows them."""
        return [f"{letter} {os.fsdecode(path)}" for letter, path in shown_lines(self.changes)]

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The entries of the archive by name, in its order."""
        return {os.fsdecode(entry.name): entry for entry in Reader(io.BytesIO(self.archive))}

    @property
    def names(self) -> list[str]:
        """The names in the archive, in its order."""
        return list(self.entries)


def layer_of(lowers: Sequence[Path], upper: Path, work: Path | None) -> Made:
    """Make the layer; the lowers are given topmost first."""
    sink = io.BytesIO()
    with open_view(lowers) as before, open_view(lowers, upper, work) as now:
        found = layer_changes(before, now)
        warnings = write_changes(found, now, sink)
    return Made(found, sink.getvalue(), warnings)


def put_layer(where: Path, lowers: Sequence[Path], archive: bytes) -> Path:
    """Unpack the archive as a layer on the lowers, given topmost first, and return its directory."""
    where.mkdir()
    probed = os.open(where, os.O_RDONLY | os.O_DIRECTORY)
    try:
        abilities = probe(probed)
    finally:
        os.close(probed)
    with closing(Descriptors(64)) as descriptors:
        roots = [open_lower(os.fsencode(path), number, descriptors) for number, path in enumerate(lowers)]
        shown: Sequence[Directory] = ()
        for root in reversed(roots):
            shown = put_on(root, shown)
        with Staging(os.open(where, os.O_RDONLY | os.O_DIRECTORY)) as staging:
            unsettled = unpack(io.BytesIO(archive), staging, abilities, Limits())
            settle(staging, unsettled, shown, abilities, Limits())
        for root in roots:
            root.close()
    return where / "root"


@contextmanager
def overlaid(directory: Path, layers: Sequence[Path]) -> Iterator[Path]:
    """Show layers, topmost first, by overlayfs."""
    root, nothing = directory / "overlaid", directory / "nothing"
    root.mkdir()
    nothing.mkdir()
    mount("overlay", root, "overlay", 0, "lowerdir=" + ":".join(map(str, (*layers, nothing))))
    try:
        yield root
    finally:
        assert unmount_or_detach(root)


def layer_differences(expected: Snapshot, found: Snapshot) -> list[str]:
    """Name what a tree shows otherwise than it should, as far as a layer says it."""
    lines = differences(_storable(expected), _storable(found), NOT_STORED)
    lines += [f"{group[0]}: only one has it linked to {group[1:]}" for group in _links(expected) ^ _links(found)]
    return lines


def _storable(tree: Snapshot) -> Snapshot:
    """Take away what no layer may hold: attributes that are a layer's own or this machine's."""
    return {
        path: replace(entry, xattrs={k: v for k, v in entry.xattrs.items() if not k.startswith(PRIVATE)})
        for path, entry in tree.items()
    }


def _links(tree: Snapshot) -> set[tuple[str, ...]]:
    groups = defaultdict(list)
    for path, entry in tree.items():
        if entry.nlink:
            groups[entry.ino].append(path)
    return {tuple(sorted(group)) for group in groups.values()}
