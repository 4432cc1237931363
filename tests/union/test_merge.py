"""What a stack shows: which layer a name comes from, and what ends the merging of directories.

Sources: overlayfs, "Directories" and "whiteouts and opaque directories"; OCI image-spec, layer.md. The whole is
compared with ``tests.stacks.merged``, which computes it from the descriptions of the layers.
"""

import itertools
import random
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.stacks import (
    DOT_OPAQUE,
    HOLDS_XATTR_WHITEOUTS,
    OPAQUE,
    WHITEOUT,
    XATTR_WHITEOUT,
    Directory,
    File,
    Layer,
    Node,
    Symlink,
    merged,
)
from tests.unions import EVERYTHING, Kernel, Stack


def shown(tmp_path: Path, *lowers: Layer) -> dict[str, bytes]:
    """Give what a stack shows: the content of files, nothing for the rest."""
    with Stack(tmp_path / "stack", lowers, EVERYTHING).opened() as kernel:
        return {path: found.content for path, found in kernel.tree().items()}


# Each is put at the name ``n`` of a layer, or beside it.
PIECES: dict[str, Layer] = {
    "nothing": {},
    "file": {"n": File(b"file")},
    "directory": {"n/own": File(b"own"), "n/sub/own": File()},
    "empty": {"n": Directory()},
    "symlink": {"n": Symlink("elsewhere")},
    "device": {"n": WHITEOUT},
    "dot": {".wh.n": File()},
    "dot beside a directory": {".wh.n": File(), "n/beside": File(b"beside")},
    "dot beside a file": {".wh.n": File(), "n": File(b"beside")},
    "opaque": {"n": OPAQUE, "n/opaque": File(b"opaque")},
    "opaque by a file": {f"n/{DOT_OPAQUE}": File(), "n/marked": File(b"marked")},
    "inner whiteout": {"n/own": WHITEOUT, "n/sub": WHITEOUT},
    "attribute whiteout": {".": HOLDS_XATTR_WHITEOUTS, "n": XATTR_WHITEOUT},
    "opaque root": {".": OPAQUE, "m": File()},
}


def named(layer: Layer, number: int) -> Layer:
    """Let the files of a layer tell which layer they are of."""
    return {
        path: File(node.content + b"%d" % number, xattrs=node.xattrs)
        if isinstance(node, File) and node.content
        else node
        for path, node in layer.items()
    }


def expected(lowers: Sequence[Layer]) -> dict[str, bytes]:
    view: dict[str, bytes] = {}
    for path, node in merged(list(reversed(lowers))).items():
        content = b""
        if isinstance(node, File):
            content = node.content
        elif isinstance(node, Symlink):
            content = node.target.encode()
        view[path] = content
    view.pop(".", None)
    return dict(sorted(view.items()))


def check(tmp_path: Path, names: Sequence[str]) -> None:
    lowers = [named(PIECES[name], number) for number, name in enumerate(names)]
    assert shown(tmp_path, *lowers) == expected(lowers), names


@pytest.mark.parametrize("top", PIECES)
def test_three_layers_show_what_the_descriptions_say(memory: Path, top: str) -> None:
    for number, rest in enumerate(itertools.product(PIECES, repeat=2)):
        place = memory / str(number)
        place.mkdir()
        check(place, (top, *rest))


@pytest.mark.parametrize("seed", range(10))
def test_deep_stacks_show_what_the_descriptions_say(memory: Path, seed: int) -> None:
    rng = random.Random(seed)
    check(memory, [rng.choice(list(PIECES)) for _ in range(rng.randrange(4, 12))])


def test_five_hundred_layers_show_together(memory: Path) -> None:
    lowers: list[Layer] = []
    for number in range(500):
        layer: dict[str, Node] = {
            f"d/only{number}": File(),
            "d/all": File(b"%d" % number),
            f"d/sub{number % 7}/x": File(),
        }
        if number % 10 == 3:
            layer[f"d/only{number + 1}"] = WHITEOUT
        if number == 450:
            layer["d"] = OPAQUE
        lowers.append(layer)
    stack = Stack(memory / "stack", lowers, EVERYTHING, descriptors=32)
    with stack.opened() as kernel:
        found = kernel.tree()
        assert found["d/all"].content == b"0"
        only = {path for path in found if path.startswith("d/only")}
        assert only == {f"d/only{number}" for number in range(451) if number % 10 != 4}
        assert len(kernel.names("d/sub3")) == 1
        kernel.write("d/only440", b"x")
        kernel.rename("d", "e")
    with stack.opened() as kernel:
        assert {path.replace("e/", "d/") for path in kernel.tree() if path.startswith("e/only")} == only
        assert kernel.read("e/only440") == b"x"


def test_attributes_of_a_merged_directory_are_the_topmost_ones(tmp_path: Path) -> None:
    lowers: list[Layer] = [
        {"d": Directory(mode=0o700, uid=1, gid=2, mtime_ns=3, xattrs={"user.top": b"1"})},
        {"d": Directory(mode=0o755, uid=5, xattrs={"user.low": b"2"}), "d/f": File()},
    ]
    with Stack(tmp_path / "stack", lowers, EVERYTHING).opened() as kernel:
        found = kernel.stat("d")
        assert (found.mode, found.uid, found.gid, found.mtime_ns) == (stat.S_IFDIR | 0o700, 1, 2, 3)
        assert found.nlink == 1
        assert kernel.xattrs("d") == {b"user.top": b"1"}


def test_a_stack_without_lowers_is_its_upper(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [], EVERYTHING)
    with stack.opened() as kernel:
        kernel.mkdir("d")
        kernel.create("d/f")
        kernel.rename("d", "e")
        kernel.unlink("e/f")
        assert list(stack.upper.rglob("*")) == [stack.upper / "e"]


def test_one_lower_is_shown_as_it_is(tmp_path: Path) -> None:
    lower: Layer = {"d/f": File(b"f"), "gone": WHITEOUT}
    with Stack(tmp_path / "stack", [lower], writable=False).opened() as kernel:
        assert list(kernel.tree()) == ["d", "d/f"]
        assert kernel.stat("d").ino == (kernel.union.nodes.root.lowers[0].child(b"d").status().st_ino)


def names_of(kernel: Kernel, path: str) -> list[str]:
    return sorted(kernel.names(path))


def test_the_upper_is_above_all(tmp_path: Path) -> None:
    lowers: list[Layer] = [{"d/low": File(b"low"), "d/same": File(b"low"), "f": File(), "g/x": File()}]
    stack = Stack(tmp_path / "stack", lowers, EVERYTHING)
    with stack.opened() as kernel:
        kernel.write("d/same", b"up")
        kernel.unlink("f")
        kernel.mkdir("f")
        kernel.unlink("g/x")
        kernel.rmdir("g")
        kernel.create("g")
    with stack.opened() as kernel:
        assert kernel.read("d/same") == b"upw"
        assert names_of(kernel, "d") == ["low", "same"]
        assert kernel.stat("f").is_directory
        assert kernel.stat("g").is_regular


@pytest.mark.parametrize("name", [b"x" * 256, b"y" * 300])
def test_a_name_that_is_too_long_is_an_error(tmp_path: Path, name: bytes) -> None:
    with Stack(tmp_path / "stack", [{}]).opened() as kernel, pytest.raises(OSError, match="too long"):
        kernel.union.lookup(1, name)


@pytest.mark.parametrize("name", [b".wh.f", b".wh..wh..opq", b".wh."])
def test_a_name_that_spells_a_whiteout_is_absent(tmp_path: Path, name: bytes) -> None:
    with Stack(tmp_path / "stack", [{name.decode(): File(), "f": File()}]).opened() as kernel:
        assert kernel.union.lookup(1, name) is None


def test_names_are_bytes(memory: Path) -> None:
    stack = Stack(memory / "stack", [{}], EVERYTHING)
    odd = [
        b"\xff\xfe",
        b"new\nline",
        b"\x1b[31m",
        "e\u0301".encode(),
        "\u00e9".encode(),
        b"-rf",
        b" ",
        b"\\",
        b"n" * 255,
    ]
    for name in odd:
        (stack.lower() / name.decode(errors="surrogateescape")).touch()
    with stack.opened() as kernel:
        assert {listed.name for listed in kernel.union.entries(1, 2)} == set(odd)
        for name in odd:
            kernel.write(name.decode(errors="surrogateescape"), b"x")
    with stack.opened() as kernel:
        assert {listed.name for listed in kernel.union.entries(1, 2)} == set(odd)
