"""Whatever is done, in whatever stack, overlayfs and this project's mount give the same.

``MODEL_EXAMPLES=N`` runs N random batches instead of the few fixed ones, and looks for the smallest that fails.
"""

import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.filesystems import KERNEL, TRANSPORTS, VARIANTS, FileSystem, Mounted, mounted
from tests.model.operations import ALL_KINDS, KINDS, MORE_KINDS, Actor, Kind
from tests.model.strategies import Example, examples, operation_of, tree_of
from tests.snapshots import Snapshot, differences, snapshot
from tests.stacks import EMPTY, Directory, Layer, Node, moved

# What belongs to who mounts, not to what is mounted.
OWN = frozenset({"ino", "ctime_ns"})
BATCH = 12
"""Examples that share one pair of mounts, each in a directory of its own, since mounting takes longest."""
LACKING: Mapping[str, Mapping[str, Kind]] = {"pyfuse3": KINDS, "writeback": {**KINDS, **MORE_KINDS}}
"""The kinds of operations of those who don't do all."""
ASKED = os.environ.get("MODEL_EXAMPLES")

model = settings(
    max_examples=int(ASKED or 4),
    derandomize=ASKED is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink] if ASKED else [Phase.generate],
)


@pytest.mark.skipif(os.geteuid() != 0, reason="kernel overlayfs is mounted by root only")
@pytest.mark.timeout(0 if ASKED else 300)
@pytest.mark.parametrize(
    ("transport", "lowers"),
    [
        *((transport, lowers) for transport in TRANSPORTS for lowers in (1, 2, 4)),
        *((variant, 2) for variant in VARIANTS if variant.name != "passthrough"),
    ],
    ids=lambda value: value if isinstance(value, int) else value.name,
)
@model
@given(data=st.data())
def test_the_union_does_what_overlayfs_does(data: st.DataObject, transport: FileSystem, lowers: int) -> None:
    batch = data.draw(st.lists(examples(lowers, steps=40), min_size=1, max_size=BATCH))
    layers = _combined(batch, lowers)
    with mounted(KERNEL, layers, EMPTY) as theirs, mounted(transport, layers, EMPTY) as ours:
        started = time.time_ns()
        stories = [Story(example.lowers) for example in batch]
        kinds = LACKING.get(transport.name, ALL_KINDS)
        for session in (0, 1):
            for number, example in enumerate(batch):
                roots = theirs.root / f"{number}", ours.root / f"{number}"
                _do_both(*roots, example.sessions[session], stories[number], kinds)
            changes = _differences(theirs, ours, started)
            assert not changes, stories[_example_of(changes[0])].ending(*changes)
            for story in stories:
                story.steps.append("mounted anew")


@dataclass
class Story:
    """What was done in one example, to be told when something differs."""

    lowers: Sequence[Layer]
    steps: list[str] = field(default_factory=list)

    def ending(self, *outcome: str) -> str:
        """Tell it all."""
        return "\n".join(["layers, the topmost first:", *map(str, map(_brief, self.lowers)), *self.steps, *outcome])


def _brief(layer: Layer) -> dict[str, str]:
    """Describe the nodes by what isn't as usual."""
    usual = {"mtime_ns", "extents", "size", "content", "kind"}
    return {
        path: type(node).__name__ + str({k: v for k, v in vars(node).items() if v and k not in usual})
        for path, node in layer.items()
    }


def _example_of(change: str) -> int:
    return int(change.split(":", maxsplit=1)[0].split("/", maxsplit=1)[0])


def _combined(batch: Sequence[Example], lowers: int) -> list[Layer]:
    """Return one stack in which each example has a directory."""
    layers: list[dict[str, Node]] = [{} for _ in range(lowers)]
    for number, example in enumerate(batch):
        layers[-1][f"{number}"] = Directory()
        for layer, part in zip(layers, example.lowers, strict=True):
            layer.update(moved(part, f"{number}"))
    return list(layers)


def _do_both(theirs: Path, ours: Path, numbers: Sequence[int], story: Story, kinds: Mapping[str, Kind]) -> None:
    """Do the operations in both trees, comparing their outcomes."""
    one, other = Actor(theirs), Actor(ours)
    try:
        for number in numbers:
            operation = operation_of(number, tree_of(theirs), kinds)
            expected, outcome = one.do(operation), other.do(operation)
            story.steps.append(f"{operation} -> {expected!r}")
            assert outcome == expected, story.ending(f"but this mount gives {outcome!r}")
    finally:
        one.close()
        other.close()


def _differences(theirs: Mounted, ours: Mounted, started: int) -> list[str]:
    """Compare the trees, and each with itself mounted anew; every line begins with the path."""
    expected, found = snapshot(theirs.root, skip_missing=True), snapshot(ours.root)
    lines = differences(_without_new_times(expected, started), _without_new_times(found, started), OWN)
    lines += [f"{group[0]}: only one has it linked to {group[1:]}" for group in _links(expected) ^ _links(found)]
    theirs.remount()
    ours.remount()
    anew = differences(expected, snapshot(theirs.root, skip_missing=True), OWN)
    lines += [f"{line} (overlayfs mounted anew)" for line in anew]
    anew = differences(found, snapshot(ours.root), frozenset({"ctime_ns"}))
    lines += [f"{line} (mounted anew)" for line in anew]
    return lines


def _without_new_times(tree: Snapshot, started: int) -> Snapshot:
    """Take the times since ``started`` for one: the two trees changed one after the other."""
    return {
        path: replace(entry, mtime_ns=started) if entry.mtime_ns >= started - 10**9 else entry
        for path, entry in tree.items()
    }


def _links(tree: Snapshot) -> set[tuple[str, ...]]:
    """Return the groups of names that are one file."""
    groups = defaultdict(list)
    for path, entry in tree.items():
        groups[entry.ino].append(path)
    return {tuple(sorted(group)) for group in groups.values()}
