"""Whatever is done, in whatever stack, overlayfs and this project's mount give the same.

``MODEL_EXAMPLES=N`` runs N random batches instead of the few fixed ones, and looks for the smallest that fails.
"""

import os
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.filesystems import KERNEL, TRANSPORTS, FileSystem, Mounted, mounted
from tests.model.operations import Actor, Operation
from tests.model.strategies import Example, examples
from tests.snapshots import Snapshot, differences, snapshot
from tests.stacks import EMPTY, Directory, Layer, Node, moved

# What belongs to who mounts, not to what is mounted.
OWN = frozenset({"ino", "ctime_ns"})
BATCH = 12
"""Examples that share one pair of mounts, each in a directory of its own, since mounting takes longest."""
ASKED = os.environ.get("MODEL_EXAMPLES")

model = settings(
    max_examples=int(ASKED or 6),
    derandomize=ASKED is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink] if ASKED else [Phase.generate],
)


@pytest.mark.skipif(os.geteuid() != 0, reason="kernel overlayfs is mounted by root only")
@pytest.mark.timeout(0 if ASKED else 300)
@pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda transport: transport.name)
@pytest.mark.parametrize("lowers", [1, 2, 4])
@model
@given(data=st.data())
def test_the_union_does_what_overlayfs_does(data: st.DataObject, transport: FileSystem, lowers: int) -> None:
    batch = data.draw(st.lists(examples(lowers, steps=40), min_size=1, max_size=BATCH))
    layers = _combined(batch, lowers)
    with mounted(KERNEL, layers, EMPTY) as theirs, mounted(transport, layers, EMPTY) as ours:
        started = time.time_ns()
        for session in ("before", "after"):
            for number, example in enumerate(batch):
                operations = getattr(example, session)
                different = _first_difference(theirs.root / f"{number}", ours.root / f"{number}", operations)
                assert not different, _story(batch, number, session, different)
            changes = _differences(theirs, ours, started)
            assert not changes, _story(batch, int(changes[0].split("/")[0].split(":")[0]), session, *changes)


def _combined(batch: Sequence[Example], lowers: int) -> list[Layer]:
    """Return one stack in which each example has a directory."""
    layers: list[dict[str, Node]] = [{} for _ in range(lowers)]
    for number, example in enumerate(batch):
        layers[-1][f"{number}"] = Directory()
        for layer, part in zip(layers, example.lowers, strict=True):
            layer.update(moved(part, f"{number}"))
    return list(layers)


def _first_difference(theirs: Path, ours: Path, operations: Sequence[Operation]) -> str:
    """Do the operations in both trees until an outcome differs; say which, or nothing."""
    one, other = Actor(theirs), Actor(ours)
    try:
        for position, operation in enumerate(operations):
            expected, outcome = one.do(operation), other.do(operation)
            if outcome != expected:
                return f"operation {position}: overlayfs gives {expected!r}, this mount {outcome!r}"
    finally:
        one.close()
        other.close()
    return ""


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


def _story(batch: Sequence[Example], number: int, session: str, *outcome: str) -> str:
    """Tell what led to a difference in one example of the batch."""
    example = batch[number]
    lines = [f"example {number}, its layers the topmost first:", *(f"  {layer}" for layer in example.lowers)]
    lines += [f"  {position}: {operation}" for position, operation in enumerate(example.before)]
    if session == "after":
        lines += ["  mounted anew"]
        lines += [f"  {position}: {operation}" for position, operation in enumerate(example.after)]
    return "\n".join([*lines, *outcome])


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
