"""How sizes of directories add up, state by state."""

import random
from pathlib import Path

import pytest

from tests.explore.looking import LAYERS, measured
from tests.provenance.stacking import stacked
from tests.provenance.test_waste import random_layer
from tests.stacks import WHITEOUT, File, HardLink, Layer
from unionfs.explore.totals import Total, Totals
from unionfs.provenance import measure_waste
from unionfs.view import open_view


def known(totals: Totals, path: bytes) -> Total:
    total = totals.get(path)
    assert total is not None
    return total


def test_a_directory_has_the_bytes_beneath_it_in_each_state(tmp_path: Path) -> None:
    with stacked(tmp_path, *LAYERS) as layers:
        totals = measured(layers)
    assert [known(totals, b"etc").shown(layer) for layer in range(3)] == [1005, 8, 0 + 1]
    assert [known(totals, b"opt").shown(layer) for layer in range(3)] == [30, 0, 7]
    assert [known(totals, b"opt/app").shown(layer) for layer in range(3)] == [30, 0, 0]
    assert [known(totals, b"").shown(layer) for layer in range(3)] == [1335, 308, 9]


def test_what_a_layer_brings_and_takes_away_is_told_apart(tmp_path: Path) -> None:
    with stacked(tmp_path, *LAYERS) as layers:
        root = known(measured(layers), b"")
    assert [root.gained(layer) for layer in range(3)] == [1335, 8, 9]
    assert [root.lost(layer) for layer in range(3)] == [0, 1035, 308]


def test_a_file_with_several_names_counts_once_in_each_directory(tmp_path: Path) -> None:
    base: Layer = {
        "a/x": File(content=b"x" * 8),
        "a/y": HardLink("a/x"),
        "b/c/z": HardLink("a/x"),
        "b/other": File(content=b"1"),
    }
    with stacked(tmp_path, base, {"a/x": WHITEOUT}, {"a/y": WHITEOUT}, {"b": WHITEOUT}) as layers:
        totals = measured(layers)
    assert [known(totals, b"a").shown(layer) for layer in range(4)] == [8, 8, 0, 0]
    assert [known(totals, b"b/c").shown(layer) for layer in range(4)] == [8, 8, 8, 0]
    assert [known(totals, b"b").shown(layer) for layer in range(4)] == [9, 9, 9, 0]
    assert [known(totals, b"").shown(layer) for layer in range(4)] == [9, 9, 9, 0]


@pytest.mark.parametrize("seed", range(25))
def test_totals_are_what_the_merged_trees_show(tmp_path: Path, seed: int) -> None:
    choice = random.Random(seed)
    with stacked(tmp_path, *(random_layer(choice) for _ in range(4))) as layers:
        totals, waste = measured(layers), measure_waste(layers)
    root = known(totals, b"")
    assert (root.shipped, root.wasted) == (waste.shipped, waste.size)
    for layer in range(4):
        with open_view([tmp_path / f"layer{number}" for number in reversed(range(layer + 1))]) as view:
            for directory in [entry.path for entry in view.walk() if entry.attributes.is_directory]:
                beneath = [entry.attributes for entry in view.walk(directory) if entry.attributes.is_regular]
                sizes = {shown.ino: shown.size for shown in beneath}
                assert known(totals, directory).shown(layer) == sum(sizes.values())


def test_what_is_kept_is_bounded_and_measured_again_alone(tmp_path: Path) -> None:
    with stacked(tmp_path, {f"d{number}/e/f": File(content=b"f" * number) for number in range(1, 9)}) as layers:
        totals = measured(layers, most=5)
        paths = [b"d%d/e" % number for number in range(1, 9)]
        forgotten = next(path for path in paths if totals.get(path) is None)
        assert known(totals, b"").shown(0) == 36
        assert sum(totals.get(path) is not None for path in paths) < 5
        assert list(totals.measure(layers, forgotten)) == [forgotten]
        assert known(totals, forgotten).shown(0) == int(forgotten[1:2])


def test_directories_are_known_one_by_one(tmp_path: Path) -> None:
    with stacked(tmp_path, *LAYERS) as layers:
        totals = Totals()
        first = next(totals.measure(layers))
        assert totals.get(first) is not None
        assert totals.get(b"") is None
