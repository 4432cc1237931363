"""What layers ship without showing it, worked out by hand, and compared with what the merged tree shows."""

import random
from pathlib import Path

import pytest

from tests.provenance.stacking import stacked
from tests.stacks import DOT_OPAQUE, EMPTY, OPAQUE, WHITEOUT, Directory, File, HardLink, Layer, Symlink
from unionfs.provenance import Hidden, Loss, measure_waste
from unionfs.view import open_view


def wasted(directory: Path, *layers: Layer, path: bytes = b"") -> list[Hidden]:
    with stacked(directory, *layers) as opened:
        return list(measure_waste(opened, path).files)


def test_nothing_is_wasted_by_a_single_layer(tmp_path: Path) -> None:
    with stacked(tmp_path, {"a": File(content=b"xyz"), "b": HardLink("a"), "c": File(content=b"1")}) as layers:
        waste = measure_waste(layers)
    assert (waste.shipped, waste.files) == (4, ())
    assert (waste.size, waste.efficiency) == (0, 1.0)


def test_an_image_without_content_wastes_nothing(tmp_path: Path) -> None:
    with stacked(tmp_path, EMPTY, {"a": WHITEOUT}) as layers:
        assert measure_waste(layers).efficiency == 1.0


def test_what_is_overwritten_deleted_or_hidden_is_wasted(tmp_path: Path) -> None:
    base: Layer = {
        "deleted": File(content=b"d" * 10),
        "gone/with/it": File(content=b"g" * 20),
        "hidden/by-opaque": File(content=b"h" * 30),
        "marked/by-file": File(content=b"m" * 40),
        "overwritten": File(content=b"o" * 50),
        "replaced/below": File(content=b"r" * 60),
        "kept": File(content=b"k" * 70),
        "becomes-directory": File(content=b"b" * 80),
    }
    top: Layer = {
        "deleted": WHITEOUT,
        "gone": WHITEOUT,
        "hidden": OPAQUE,
        f"marked/{DOT_OPAQUE}": File(),
        "marked/new": File(content=b"n"),
        "overwritten": File(content=b"O" * 5),
        "replaced": Symlink("elsewhere"),
        "becomes-directory": Directory(),
    }
    assert wasted(tmp_path, base, EMPTY, top) == [
        Hidden(b"becomes-directory", 80, 0, 2, Loss.OVERWRITTEN, b"becomes-directory"),
        Hidden(b"replaced/below", 60, 0, 2, Loss.OVERWRITTEN, b"replaced"),
        Hidden(b"overwritten", 50, 0, 2, Loss.OVERWRITTEN, b"overwritten"),
        Hidden(b"marked/by-file", 40, 0, 2, Loss.HIDDEN, b"marked"),
        Hidden(b"hidden/by-opaque", 30, 0, 2, Loss.HIDDEN, b"hidden"),
        Hidden(b"gone/with/it", 20, 0, 2, Loss.DELETED, b"gone"),
        Hidden(b"deleted", 10, 0, 2, Loss.DELETED, b"deleted"),
    ]


def test_the_first_layer_that_hides_a_file_is_named(tmp_path: Path) -> None:
    layers: list[Layer] = [
        {"d/a": File(content=b"123"), "d/b": File(content=b"1")},
        {"d/a": WHITEOUT},
        {"d": OPAQUE, "d/a": File(content=b"12")},
        {"d": WHITEOUT},
    ]
    assert [(file.path, file.layer, file.hidden_by, file.loss) for file in wasted(tmp_path, *layers)] == [
        (b"d/a", 0, 1, Loss.DELETED),
        (b"d/a", 2, 3, Loss.DELETED),
        (b"d/b", 0, 2, Loss.HIDDEN),
    ]


def test_a_whiteout_beside_a_file_of_its_own_layer_does_not_hide_that(tmp_path: Path) -> None:
    layers: list[Layer] = [
        {"d/old": File(content=b"12")},
        {".wh.d": File(), "d/new": File(content=b"1"), ".wh.f": File(), "f": File(content=b"123")},
    ]
    assert [file.path for file in wasted(tmp_path, *layers)] == [b"d/old"]


def test_a_file_with_several_names_counts_once_and_only_when_none_of_them_shows(tmp_path: Path) -> None:
    base: Layer = {
        "a": File(content=b"x" * 9), "b": HardLink("a"), "c": HardLink("a"),
        "p": File(content=b"y" * 7), "q": HardLink("p"),
    }  # fmt: skip
    layers: list[Layer] = [base, {"a": WHITEOUT, "p": WHITEOUT}, {"b": WHITEOUT, "c": File(content=b"1")}]
    with stacked(tmp_path, *layers) as opened:
        waste = measure_waste(opened)
    assert waste.shipped == 9 + 7 + 1
    assert [(file.path, file.size, file.hidden_by, file.links) for file in waste.files] == [(b"a", 9, 2, 3)]


def test_a_part_of_the_tree_counts_no_file_that_has_names_elsewhere(tmp_path: Path) -> None:
    base: Layer = {
        "d/a": File(content=b"x" * 9), "e": HardLink("d/a"),
        "d/b": File(content=b"1"), "d/c": HardLink("d/b"), "other": File(content=b"22"),
    }  # fmt: skip
    top: Layer = {"d": WHITEOUT, "other": WHITEOUT}
    assert [file.path for file in wasted(tmp_path, base, top, path=b"d")] == [b"d/b"]
    assert [file.path for file in wasted(tmp_path / "1", base, top, path=b"other")] == [b"other"]
    assert wasted(tmp_path / "2", base, top, path=b"absent/below") == []


def test_an_opaque_root_hides_all_below(tmp_path: Path) -> None:
    assert [file.path for file in wasted(tmp_path, {"a": File(content=b"1")}, {".": OPAQUE})] == [b"a"]


def random_layer(choice: random.Random) -> Layer:
    layer: dict[str, File | Directory] = {}
    for directory in ("", "d/", "d/e/"):
        for name in "abx":
            kind = choice.choice(["none", "none", "file", "whiteout"])
            if kind == "file":
                layer[f"{directory}{name}"] = File(content=b"." * choice.randint(1, 99))
            elif kind == "whiteout":
                layer[f"{directory}.wh.{name}"] = File()
        if directory and choice.random() < 0.2:
            layer[f"{directory}{DOT_OPAQUE}"] = File()
    if choice.random() < 0.2:
        layer = {path: node for path, node in layer.items() if not path.startswith("d/e/")}
        layer["d/e"] = File(content=b".")
    return layer


@pytest.mark.parametrize("seed", range(25))
def test_what_is_not_wasted_is_what_shows(tmp_path: Path, seed: int) -> None:
    choice = random.Random(seed)
    layers = [random_layer(choice) for _ in range(4)]
    with stacked(tmp_path, *layers) as opened:
        waste = measure_waste(opened)
    with open_view([tmp_path / f"layer{number}" for number in reversed(range(4))]) as view:
        shown = sum(entry.attributes.size for entry in view.walk() if entry.attributes.is_regular)
    assert waste.shipped - waste.size == shown
