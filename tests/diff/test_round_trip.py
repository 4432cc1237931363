"""Whatever is done in a mount, the layer made of its upper shows the same on the same lowers.

``MODEL_EXAMPLES=N`` runs N random batches instead of the few fixed ones, and looks for the smallest that fails.
"""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.diff.layering import layer_differences, layer_of, overlaid, put_layer
from tests.filesystems import TRANSPORTS, FileSystem, KernelOverlay, mounted, scratch
from tests.model.operations import ALL_KINDS, Actor
from tests.model.strategies import Example, examples, operation_of, tree_of
from tests.model.test_model import ASKED, BATCH, Story, _combined, model
from tests.snapshots import snapshot
from tests.stacks import EMPTY

OVERLAYFS = KernelOverlay(defaults=("redirect_dir=on", "metacopy=on", "xino=off"))
"""With all of its marks that a layer can be made of; its index of hard links is its own."""


@pytest.mark.skipif(os.geteuid() != 0, reason="kernel overlayfs is mounted by root only")
@pytest.mark.timeout(0 if ASKED else 300)
@pytest.mark.parametrize(
    ("filesystem", "lowers"),
    [(TRANSPORTS[0], 1), (TRANSPORTS[0], 3), (OVERLAYFS, 2)],
    ids=lambda value: value if isinstance(value, int) else value.name,
)
@model
@given(data=st.data())
def test_the_layer_of_an_upper_shows_what_the_mount_showed(
    data: st.DataObject, filesystem: FileSystem, lowers: int
) -> None:
    batch = data.draw(st.lists(examples(lowers, steps=40), min_size=1, max_size=BATCH))
    stories = [Story(example.lowers) for example in batch]
    with mounted(filesystem, _combined(batch, lowers), EMPTY) as mount, scratch() as directory:
        for number, example in enumerate(batch):
            _do(mount.root / f"{number}", example, stories[number])
        expected = snapshot(mount.root, skip_missing=True)
        mount.unmount()
        assert mount.upper is not None
        made = layer_of(mount.lowers, mount.upper, mount.work)
        layer = put_layer(directory / "layer", mount.lowers, made.archive)
        with overlaid(directory, [layer, *mount.lowers]) as root:
            wrong = layer_differences(expected, snapshot(root, skip_missing=True))
    assert not wrong, stories[int(wrong[0].split(":")[0].split("/")[0])].ending(*wrong, *made.lines)


def _do(root: Path, example: Example, story: Story) -> None:
    actor = Actor(root)
    try:
        for number in (*example.sessions[0], *example.sessions[1]):
            operation = operation_of(number, tree_of(root), ALL_KINDS)
            story.steps.append(f"{operation} -> {actor.do(operation)!r}")
    finally:
        actor.close()
