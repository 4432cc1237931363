"""What each layer does to a path."""

from pathlib import Path

from tests.provenance.stacking import stacked
from tests.stacks import EMPTY, OPAQUE, WHITEOUT, Directory, File, HardLink, Layer, Symlink
from unionfs.provenance import Action, trace


def steps(directory: Path, path: bytes, *layers: Layer) -> list[tuple[int, str, tuple[str, ...], bytes, int]]:
    with stacked(directory, *layers) as opened:
        return [(step.layer, step.action.value, step.what, step.by, step.hidden) for step in trace(opened, path)]


def test_a_file_is_added_changed_deleted_and_restored(tmp_path: Path) -> None:
    found = steps(
        tmp_path,
        b"etc/f",
        {"etc/other": File()},
        {"etc/f": File(content=b"12345")},
        EMPTY,
        {"etc/f": File(content=b"123456", mode=0o600)},
        {"etc/f": WHITEOUT},
        {"etc/f": File(content=b"1")},
    )
    assert found == [
        (1, "adds", (), b"etc/f", 0),
        (3, "changes", ("content", "mode"), b"etc/f", 5),
        (4, "deletes", (), b"etc/f", 6),
        (5, "restores", (), b"etc/f", 0),
    ]


def test_what_a_change_is_of_is_said(tmp_path: Path) -> None:
    found = steps(
        tmp_path,
        b"f",
        {"f": File(content=b"same")},
        {"f": File(content=b"SAME")},
        {"f": File(content=b"SAME", uid=1)},
        {"f": File(content=b"SAME", uid=1, mtime_ns=5)},
        {"f": File(content=b"SAME", uid=1, mtime_ns=5, xattrs={"user.a": b"1"})},
        {"f": File(content=b"SAME", uid=1, mtime_ns=5, xattrs={"user.a": b"1"})},
        {"f": Symlink("a")},
        {"f": Symlink("b")},
    )
    assert [what for _, _, what, _, _ in found[1:]] == [
        ("content",), ("owner",), ("time",), ("xattrs",), (), ("type",), ("target",),
    ]  # fmt: skip
    assert {action for _, action, *_ in found[1:]} == {"changes"}


def test_a_directory_above_can_take_a_file_away(tmp_path: Path) -> None:
    base: Layer = {"a/b/f": File(content=b"123")}
    assert steps(tmp_path / "1", b"a/b/f", base, {"a": WHITEOUT})[1:] == [(1, "deletes", (), b"a", 3)]
    assert steps(tmp_path / "2", b"a/b/f", base, {"a/b": OPAQUE})[1:] == [(1, "hides", (), b"a/b", 3)]
    assert steps(tmp_path / "3", b"a/b/f", base, {"a": File()})[1:] == [(1, "hides", (), b"a", 3)]
    again: Layer = {"a": OPAQUE, "a/b/f": File(content=b"1")}
    assert steps(tmp_path / "4", b"a/b/f", base, again)[1:] == [(1, "changes", ("content",), b"a/b/f", 3)]


def test_a_directory_that_only_holds_what_is_in_it_is_no_step(tmp_path: Path) -> None:
    found = steps(
        tmp_path,
        b"d",
        {"d/a": File(content=b"12")},
        {"d": Directory(mtime_ns=7), "d/b": File(content=b"1")},
        {"d": Directory(mode=0o700)},
        {"d": OPAQUE},
        {"d": WHITEOUT},
    )
    assert found == [
        (0, "adds", (), b"d", 0),
        (2, "changes", ("mode",), b"d", 0),
        (3, "changes", ("mode",), b"d", 3),
        (4, "deletes", (), b"d", 0),
    ]


def test_a_directory_that_is_made_anew_is_a_step_even_if_it_looks_the_same(tmp_path: Path) -> None:
    found = steps(tmp_path, b"a/d", {"a/d/f": File(content=b"1")}, {"a": OPAQUE, "a/d": Directory()})
    assert found[1:] == [(1, "changes", (), b"a/d", 1)]


def test_a_whiteout_of_what_is_not_there_is_no_step(tmp_path: Path) -> None:
    assert steps(tmp_path, b"a/b", {"a": WHITEOUT}, {"x": File()}, {"a/b": WHITEOUT}) == []


def test_the_root_is_a_path_too(tmp_path: Path) -> None:
    found = steps(tmp_path, b"", {"a": File(content=b"1")}, {".": Directory(mode=0o700), "a": WHITEOUT})
    assert found == [(0, "adds", (), b"", 0), (1, "changes", ("mode",), b"", 1)]


def test_bytes_that_another_name_shows_are_not_hidden(tmp_path: Path) -> None:
    base: Layer = {"a": File(content=b"123"), "b": HardLink("a")}
    assert steps(tmp_path, b"a", base, {"a": WHITEOUT}) == [(0, "adds", (), b"a", 0), (1, "deletes", (), b"a", 0)]


def test_a_step_tells_what_shows_from_there_on(tmp_path: Path) -> None:
    with stacked(tmp_path, {"f": File(content=b"123", mode=0o600)}, {"f": WHITEOUT}) as layers:
        added, deleted = trace(layers, b"f")
    assert added.shown is not None
    assert (added.shown.size, added.shown.mode) == (3, 0o100600)
    assert (deleted.action, deleted.shown) == (Action.DELETES, None)
