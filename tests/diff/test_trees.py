"""Two trees beside one another, and a whole tree as a tar."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from tests.diff.layering import layer_differences, overlaid, put_layer
from tests.snapshots import snapshot
from tests.stacks import WHITEOUT, Device, Directory, Fifo, File, HardLink, Layer, Socket, Symlink, write
from unionfs.diff import changes, shown_lines, write_tree
from unionfs.view import open_view

BASE: Layer = {
    "etc/a": File(content=b"a"),
    "etc/b": File(content=b"b"),
    "etc/link": Symlink("a"),
    "bin/tool": File(content=b"tool", mode=0o755),
    "bin/same": HardLink("bin/tool"),
    "var/log": Directory(),
}


def lines(tmp_path: Path, before: list[Layer], now: list[Layer]) -> list[str]:
    """Compare two stacks, given lowest first, of which equal layers are one directory."""
    names: dict[int, Path] = {}
    for layer in (*before, *now):
        if id(layer) not in names:
            names[id(layer)] = tmp_path / f"layer{len(names)}"
            write(names[id(layer)], layer)
    old, new = ([names[id(layer)] for layer in reversed(stack)] for stack in (before, now))
    with open_view(old) as one, open_view(new) as other:
        return [f"{letter} {os.fsdecode(path)}" for letter, path in shown_lines(changes(one, other))]


def test_a_tree_doesnt_differ_from_itself(tmp_path: Path) -> None:
    assert lines(tmp_path, [BASE], [BASE]) == []


def test_equal_trees_of_other_layers_dont_differ(tmp_path: Path) -> None:
    assert lines(tmp_path, [BASE], [dict(BASE)]) == []
    split: list[Layer] = [
        {k: v for k, v in BASE.items() if "bin" in k},
        {k: v for k, v in BASE.items() if "bin" not in k},
    ]
    assert lines(tmp_path / "split", [BASE], split) == []


@pytest.mark.parametrize("shared", [True, False], ids=["on a shared layer", "all layers apart"])
def test_what_differs_has_its_letter(tmp_path: Path, shared: bool) -> None:
    top: Layer = {
        "etc/a": File(content=b"A"),
        "etc/b": File(content=b"b"),
        "etc/new": File(),
        "etc/link": Symlink("b"),
        "bin": WHITEOUT,
        "var/log": Directory(mode=0o700),
    }
    expected = ["D /bin", "C /etc", "C /etc/a", "C /etc/link", "A /etc/new", "C /var", "C /var/log"]
    assert lines(tmp_path, [BASE], [BASE if shared else dict(BASE), top]) == expected


def test_the_way_back_has_the_letters_turned(tmp_path: Path) -> None:
    top: Layer = {"etc/new": File(), "bin": WHITEOUT}
    assert lines(tmp_path, [BASE, top], [BASE]) == [
        "A /bin", "A /bin/same", "A /bin/tool", "C /etc", "D /etc/new"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        File(content=b"a", mode=0o600),
        File(content=b"a", uid=1),
        File(content=b"a", gid=1),
        File(content=b"a", mtime_ns=1),
        File(content=b"b"),
        File(content=b"aa"),
        File(content=b"a", xattrs={"user.k": b"v"}),
        Symlink("a"),
        Fifo(),
        Device(0o020000, 1, 3),
        Directory(),
    ],
)
def test_anything_that_a_file_shows_makes_it_differ(tmp_path: Path, other: File) -> None:
    assert lines(tmp_path, [{"f": File(content=b"a")}], [{"f": other}]) == ["C /f"]


def test_a_directory_made_anew_differs_by_what_is_in_it_alone(tmp_path: Path) -> None:
    before: Layer = {"d/a": File(content=b"1"), "d/b": File()}
    now: Layer = {"d/a": File(content=b"1"), "d/c": File(), "d": Directory(mtime_ns=5)}
    assert lines(tmp_path, [before], [now]) == ["C /d", "D /d/b", "A /d/c"]


TREE: Layer = {
    ".": Directory(mode=0o751, uid=3, mtime_ns=17_000_000_001),
    "etc/a": File(content=b"a", mode=0o4755, uid=1, gid=2, xattrs={"user.k": b"v"}),
    "etc/hole": File(content=b"end", extents=(1_000_000,)),
    "empty": Directory(mode=0o1777),
    "link": Symlink("etc/a"),
    "pipe": Fifo(),
    "null": Device(0o020000, 1, 3),
    "zz": HardLink("etc/a"),
    "socket": Socket(),
    "\udcff\n": File(content=b"odd"),
}


def test_a_whole_tree_as_a_layer_shows_the_same(tmp_path: Path) -> None:
    write(tmp_path / "base", TREE)
    write(tmp_path / "top", {"etc/b": File(content=b"b"), "link": WHITEOUT, ".": TREE["."]})
    layers = [tmp_path / "top", tmp_path / "base"]
    sink = io.BytesIO()
    with open_view(layers) as view:
        warnings = write_tree(view, sink)
    assert warnings == ["/socket is a socket, which a layer can't hold; it is left out"]
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue())) as archive:
        names = archive.getnames()
    assert names[0] == "."
    assert not [name for name in names if ".wh." in name]
    layer = put_layer(tmp_path / "layer", [], sink.getvalue())
    (tmp_path / "base/socket").unlink()
    os.utime(tmp_path / "base", ns=(17_000_000_001, 17_000_000_001))
    with overlaid(tmp_path, layers) as root:
        expected = snapshot(root)
    (tmp_path / "overlaid").rmdir()
    (tmp_path / "nothing").rmdir()
    with overlaid(tmp_path, [layer]) as root:
        assert layer_differences(expected, snapshot(root)) == []
