"""The lines of the tree: what is open, where lines are, and how large what they stand for is."""

from pathlib import Path

import pytest

from tests.explore.looking import LAYERS, lines, measured, row
from tests.provenance.stacking import stacked
from tests.stacks import EMPTY, Fifo, File, Layer
from unionfs.explore.changes import Look
from unionfs.explore.outline import Outline
from unionfs.explore.totals import Totals
from unionfs.layer.directory import Directory
from unionfs.layer.entry import Entry


def test_at_first_the_root_shows_as_it_is_in_the_end(tmp_path: Path) -> None:
    with stacked(tmp_path, *LAYERS) as layers:
        outline = Outline(layers, Totals())
        outline.show()
        assert lines(outline) == ["~etc", " link", "+opt", "~usr"]


def test_directories_are_opened_and_closed(tmp_path: Path) -> None:
    with stacked(tmp_path, *LAYERS) as layers:
        outline = Outline(layers, Totals())
        outline.show(layer=0)
        outline.open(2)
        outline.open(3)
        assert lines(outline) == ["+etc", "+link", "+opt", "+  app", "+    a", "+    deep", "+usr"]
        outline.open(3)
        outline.open(4)
        assert len(outline.rows) == 7
        outline.close(2)
        assert lines(outline) == ["+etc", "+link", "+opt", "+usr"]


def test_a_directory_is_read_only_when_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scanned: list[bytes] = []
    scan = Directory.scan

    def noted(directory: Directory) -> dict[bytes, Entry]:
        scanned.append(directory.name)
        return scan(directory)

    monkeypatch.setattr(Directory, "scan", noted)
    with stacked(tmp_path, {"a/b/c": File(), "d/e/f": File()}) as layers:
        outline = Outline(layers, Totals())
        outline.show()
        assert scanned == [b""]
        outline.open(1)
        assert scanned == [b"", b"d"]


def test_what_was_open_stays_open_in_another_layer(tmp_path: Path) -> None:
    with stacked(tmp_path, *LAYERS) as layers:
        outline = Outline(layers, Totals())
        outline.show(layer=0)
        row(outline, b"opt/app/a")
        outline.show(layer=1)
        assert lines(outline) == ["~etc", " link", "-opt", "-  app", "-    a", "-    deep", " usr"]
        outline.show(look=Look.LAYER)
        assert lines(outline) == ["~etc", " never", "-opt"]
        outline.show(layer=2, look=Look.STATE)
        assert lines(outline) == ["~etc", " link", "+opt", "+  new", "~usr"]


def test_lines_are_found_by_path_or_what_is_above(tmp_path: Path) -> None:
    with stacked(tmp_path, *LAYERS) as layers:
        outline = Outline(layers, Totals())
        outline.show(layer=0)
        row(outline, b"opt/app/a")
        assert outline.index_of(b"opt/app/a") == 4
        assert outline.index_of(b"opt/app/nothing/there") == 3
        assert outline.index_of(b"nowhere") == 0
        assert [outline.above(index) for index in (4, 3, 2, 0)] == [3, 2, 2, 0]


def test_sizes_are_those_of_the_look(tmp_path: Path) -> None:
    with stacked(tmp_path, *LAYERS) as layers:
        outline = Outline(layers, measured(layers))
        sizes = {}
        for look in Look:
            outline.show(layer=1, look=look)
            sizes[look] = [outline.size(each) for each in outline.rows]
        assert sizes == {Look.STATE: [8, None, 30, 300], Look.CHANGES: [8, 30], Look.LAYER: [8, None, 30]}
        assert outline.size(row(outline, b"etc/old")) == 1000
        outline.show(layer=2, look=Look.STATE)
        assert outline.size(row(outline, b"usr/tool")) == 1


def test_a_size_that_is_not_known_yet_is_none(tmp_path: Path) -> None:
    with stacked(tmp_path, {"d/f": File(content=b"12"), "pipe": Fifo()}) as layers:
        totals = Totals()
        outline = Outline(layers, totals)
        outline.show()
        assert [outline.size(each) for each in outline.rows] == [None, None]
        assert outline.unmeasured(outline.rows) == b"d"
        list(totals.measure(layers, b"d"))
        assert [outline.size(each) for each in outline.rows] == [2, None]
        assert outline.unmeasured(outline.rows) is None


def test_lines_are_sorted_by_size_if_that_is_wanted(tmp_path: Path) -> None:
    layer: Layer = {"a": File(content=b"1"), "b/c": File(content=b"123"), "d": File(content=b"12"), "e": Fifo()}
    with stacked(tmp_path, layer) as layers:
        outline = Outline(layers, measured(layers))
        outline.show(by_size=True)
        assert lines(outline) == ["+b", "+d", "+a", "+e"]
        outline.show(by_size=False)
        assert lines(outline) == ["+a", "+b", "+d", "+e"]


def test_an_image_without_layers_or_names_has_no_lines(tmp_path: Path) -> None:
    for number, names in enumerate([[], [EMPTY]]):
        with stacked(tmp_path / str(number), *names) as layers:
            outline = Outline(layers, Totals())
            outline.show()
            assert outline.rows == []
