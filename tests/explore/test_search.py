"""Finding names in what a look at a layer shows."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.explore.looking import LAYERS, lines
from tests.provenance.stacking import stacked
from tests.stacks import File
from unionfs.explore.changes import Look
from unionfs.explore.outline import Outline
from unionfs.explore.search import Found, search
from unionfs.explore.totals import Totals
from unionfs.layer.directory import Directory


def found(layers: Sequence[Directory], text: str, layer: int = 0, look: Look = Look.STATE) -> list[Found]:
    return [each for each in search(layers, layer, look, text) if each is not None]


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("b", ["opt", "opt/app", "opt/app/deep", "opt/app/deep/b"]),
        ("OLD", ["etc", "etc/old"]),
        ("app", ["opt", "opt/app"]),
        ("p", ["etc", "etc/passwd", "opt", "opt/app", "opt/app/deep"]),
        ("/app/", ["opt", "opt/app", "opt/app/a", "opt/app/deep", "opt/app/deep/b"]),
        ("/link", ["link"]),
        ("nothing", []),
    ],
)
def test_matches_come_after_the_directories_above_them(tmp_path: Path, text: str, paths: list[str]) -> None:
    with stacked(tmp_path, *LAYERS) as layers:
        assert [each.path.decode() for each in found(layers, text)] == paths


def test_only_what_the_look_shows_is_found(tmp_path: Path) -> None:
    with stacked(tmp_path, *LAYERS) as layers:
        assert [each.path for each in found(layers, "tool", layer=1)] == [b"usr", b"usr/tool"]
        assert found(layers, "tool", layer=1, look=Look.CHANGES) == []
        assert [each.path for each in found(layers, "deep", layer=1)] == [b"opt", b"opt/app", b"opt/app/deep"]
        assert found(layers, "deep", layer=2) == []


def test_names_that_are_no_text_are_found_by_their_bytes(tmp_path: Path) -> None:
    with stacked(tmp_path, {"caf\udce9": File(), "É": File()}) as layers:
        assert [each.path for each in found(layers, "\udce9")] == [b"caf\xe9"]
        assert [each.path for each in found(layers, "é")] == ["É".encode()]


def test_a_search_that_finds_nothing_can_be_given_up(tmp_path: Path) -> None:
    with stacked(tmp_path, {f"d{number}/f": File() for number in range(3)}) as layers:
        assert list(search(layers, 0, Look.STATE, "nothing")) == [None, None, None]


def test_what_was_found_is_shown_as_a_tree_that_can_be_opened_further(tmp_path: Path) -> None:
    with stacked(tmp_path, *LAYERS) as layers:
        outline = Outline(layers, Totals())
        outline.show(layer=0)
        outline.show_found(found(layers, "p"))
        assert lines(outline) == ["+etc", "+  passwd", "+opt", "+  app", "+    deep"]
        outline.open(4)
        assert lines(outline)[4:] == ["+    deep", "+      b"]
        outline.close(0)
        assert lines(outline)[:2] == ["+etc", "+opt"]
        outline.show()
        assert lines(outline) == ["+etc", "+link", "+opt", "+usr"]
