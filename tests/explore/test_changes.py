"""What is called added, changed and removed in each way of looking at a layer."""

from pathlib import Path

from tests.explore.looking import LAYERS, marks
from tests.provenance.stacking import stacked
from tests.stacks import DOT_OPAQUE, DOT_WHITEOUT, EMPTY, OPAQUE, WHITEOUT, Directory, File, Layer
from unionfs.explore.changes import Change, Look, story
from unionfs.provenance.columns import column_above


def test_a_state_shows_what_is_there_and_what_its_layer_takes_away(tmp_path: Path) -> None:
    with stacked(tmp_path, *LAYERS) as layers:
        assert marks(layers, b"", 0) == ["+etc", "+link", "+opt", "+usr"]
        assert marks(layers, b"", 1) == ["~etc", " link", "-opt", " usr"]
        assert marks(layers, b"", 2) == ["~etc", " link", "+opt", "~usr"]
        assert marks(layers, b"etc", 1) == ["-old", "~passwd"]
        assert marks(layers, b"etc", 2) == ["~passwd"]


def test_changes_leave_out_what_stays(tmp_path: Path) -> None:
    with stacked(tmp_path, *LAYERS) as layers:
        assert marks(layers, b"", 1, Look.CHANGES) == ["~etc", "-opt"]
        assert marks(layers, b"opt/app", 1, Look.CHANGES) == ["-a", "-deep"]


def test_a_layer_alone_shows_what_it_holds_and_its_whiteouts(tmp_path: Path) -> None:
    with stacked(tmp_path, *LAYERS) as layers:
        assert marks(layers, b"", 1, Look.LAYER) == ["~etc", " never", "-opt"]
        assert marks(layers, b"opt/app", 1, Look.LAYER) == []
        assert marks(layers, b"opt", 2, Look.LAYER) == ["+new"]


def test_what_was_below_a_deleted_directory_does_not_come_back_with_it(tmp_path: Path) -> None:
    with stacked(tmp_path, {"d/a": File(), "d/b": File()}, {"d": WHITEOUT}, {"d/b": File()}) as layers:
        assert [marks(layers, b"d", layer) for layer in range(3)] == [["+a", "+b"], ["-a", "-b"], ["+b"]]


def test_an_opaque_directory_removes_what_it_does_not_hold(tmp_path: Path) -> None:
    below: Layer = {"d/a": File(), "d/b": File()}
    tops: list[Layer] = [
        {"d": OPAQUE, "d/b": File()},
        {f"d/{DOT_OPAQUE}": File(), "d/b": File()},
        {f"{DOT_WHITEOUT}d": File(), "d/b": File()},
    ]
    for number, top in enumerate(tops):
        with stacked(tmp_path / str(number), below, top, EMPTY) as layers:
            assert marks(layers, b"", 1) == ["~d"]
            assert [marks(layers, b"d", layer) for layer in range(3)] == [["+a", "+b"], ["-a", "~b"], [" b"]]


def test_a_file_in_the_place_of_a_directory_takes_away_what_was_in_it(tmp_path: Path) -> None:
    with stacked(tmp_path, {"d/a": File()}, {"d": File()}, {"d": Directory(), "d/c": File()}) as layers:
        assert [marks(layers, b"", layer) for layer in range(3)] == [["+d"], ["~d"], ["~d"]]
        assert [marks(layers, b"d", layer) for layer in range(3)] == [["+a"], ["-a"], ["+c"]]


def test_the_same_shipped_once_more_is_a_change(tmp_path: Path) -> None:
    with stacked(tmp_path, {"f": File(content=b"1")}, {"f": File(content=b"1")}) as layers:
        assert marks(layers, b"", 1) == ["~f"]


def test_the_story_of_a_name_is_all_that_layers_do_to_it(tmp_path: Path) -> None:
    with stacked(tmp_path, {"d/f": File()}, EMPTY, {"d": WHITEOUT}, {"d/f": File()}, {"d/f": File()}) as layers:
        column = column_above(layers, b"d/f")
        told = list(story(column, column.parts(b"f"), len(layers)))
    assert told == [(0, Change.ADDED), (2, Change.REMOVED), (3, Change.ADDED), (4, Change.CHANGED)]


def test_looks_follow_one_another_in_a_circle() -> None:
    assert [look.next for look in Look] == [Look.CHANGES, Look.LAYER, Look.STATE]
