"""An image of three layers to look around in, as layers on disk and as what a look shows of them."""

from collections.abc import Sequence

from tests.stacks import WHITEOUT, File, Layer, Symlink
from unionfs.explore.changes import Look, items
from unionfs.explore.outline import Outline, Row
from unionfs.explore.totals import Totals
from unionfs.layer.directory import Directory
from unionfs.provenance.columns import column_above

BASE: Layer = {
    "etc/passwd": File(content=b"root\n"),
    "etc/old": File(content=b"o" * 1000),
    "opt/app/a": File(content=b"a" * 10),
    "opt/app/deep/b": File(content=b"b" * 20),
    "usr/tool": File(content=b"t" * 300),
    "link": Symlink("etc/passwd"),
}
MIDDLE: Layer = {"etc/old": WHITEOUT, "etc/passwd": File(content=b"root\nme\n"), "never": WHITEOUT, "opt": WHITEOUT}
TOP: Layer = {"opt/new": File(content=b"n" * 7), "etc/passwd/x": File(content=b"x"), "usr/tool": File(content=b"t")}
LAYERS = (BASE, MIDDLE, TOP)


def marks(layers: Sequence[Directory], path: bytes, layer: int, look: Look = Look.STATE) -> list[str]:
    """Give mark and name of what a look shows in a directory."""
    column = column_above(layers, path + b"/." if path else b".")
    return [f"{item.change.value}{item.name.decode()}" for item in items(column, layer, look)]


def lines(outline: Outline) -> list[str]:
    """Give the lines of an outline: mark, indentation, name."""
    return [f"{row.item.change.value}{'  ' * row.depth}{row.item.name.decode()}" for row in outline.rows]


def measured(layers: Sequence[Directory], most: int = 1000) -> Totals:
    """Give the totals of all directories."""
    totals = Totals(most)
    assert list(totals.measure(layers))[-1] == b""
    return totals


def row(outline: Outline, path: bytes) -> Row:
    """Open what is above a path, and give its line."""
    above: list[bytes] = []
    for name in path.split(b"/")[:-1]:
        above.append(name)
        outline.open(outline.index_of(b"/".join(above)))
    found = outline.rows[outline.index_of(path)]
    assert found.path == path
    return found
