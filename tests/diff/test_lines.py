"""What changed, as ``docker diff`` and ``podman diff`` tell it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.diff.layering import Made, layer_of
from tests.stacks import OPAQUE, WHITEOUT, Directory, File, HardLink, Layer, Socket, write
from tests.unions import EVERYTHING, Kernel, Stack

BASE: Layer = {
    "etc/a": File(content=b"a"),
    "etc/b": File(content=b"b"),
    "etc/sub/f": File(content=b"f"),
    "dir/x": File(content=b"x"),
    "dir/sub/g": File(content=b"g"),
    "dir/sub/h": File(content=b"h"),
    "one": File(content=b"linked"),
    "far/away/two": HardLink("one"),
}


def steps(*texts: str) -> Callable[[Kernel], None]:
    """Return what does the steps, each a method of ``Kernel`` and its arguments, in a union."""

    def do(kernel: Kernel) -> None:
        for text in texts:
            verb, *words = text.split(" ")
            if verb == "write":
                kernel.write(words[0], words[1].encode())
            elif verb == "chmod":
                kernel.change(words[0], mode=int(words[1], 8))
            else:
                getattr(kernel, verb)(*words)

    return do


CASES: dict[str, tuple[Callable[[Kernel], None], list[str]]] = {
    "nothing is done": (steps(), []),
    "a new file": (steps("create etc/new"), ["C /etc", "A /etc/new"]),
    "a new file at the root": (steps("create new"), ["A /new"]),
    "a new tree": (steps("mkdir n", "mkdir n/m", "create n/m/f"), ["A /n", "A /n/m", "A /n/m/f"]),
    "a write": (steps("write etc/a z"), ["C /etc", "C /etc/a"]),
    "a deep write": (steps("write dir/sub/g z"), ["C /dir", "C /dir/sub", "C /dir/sub/g"]),
    "an equal write": (steps("write etc/a a"), ["C /etc", "C /etc/a"]),
    "a chmod": (steps("chmod etc/a 600"), ["C /etc", "C /etc/a"]),
    "a chmod of a directory": (steps("chmod dir/sub 700"), ["C /dir", "C /dir/sub"]),
    "a removal": (steps("unlink etc/a"), ["C /etc", "D /etc/a"]),
    "what came and went": (steps("create etc/new", "unlink etc/new"), ["C /etc"]),
    "a removed tree": (
        steps("unlink dir/sub/g", "unlink dir/sub/h", "rmdir dir/sub"),
        ["C /dir", "D /dir/sub"],
    ),
    "a file in the place of a directory": (
        steps("unlink etc/sub/f", "rmdir etc/sub", "create etc/sub"),
        ["C /etc", "C /etc/sub"],
    ),
    "a directory in the place of a file": (
        steps("unlink etc/a", "mkdir etc/a", "create etc/a/n"),
        ["C /etc", "C /etc/a", "A /etc/a/n"],
    ),
    "a directory made anew": (
        steps(
            "unlink dir/sub/g",
            "unlink dir/sub/h",
            "rmdir dir/sub",
            "mkdir dir/sub",
            "create dir/sub/g",
            "create dir/sub/i",
        ),
        ["C /dir", "C /dir/sub", "C /dir/sub/g", "D /dir/sub/h", "A /dir/sub/i"],
    ),
    "a renamed file": (steps("rename etc/a etc/c"), ["C /etc", "D /etc/a", "A /etc/c"]),
    "a renamed directory": (
        steps("rename dir new"),
        ["D /dir", "A /new", "A /new/sub", "A /new/sub/g", "A /new/sub/h", "A /new/x"],
    ),
    "a directory renamed there and back": (
        steps("rename dir new", "rename new dir", "create dir/n"),
        ["C /dir", "A /dir/n"],
    ),
    "a directory renamed over an empty one": (
        steps("unlink etc/sub/f", "rename dir/sub etc/sub"),
        ["C /dir", "D /dir/sub", "C /etc", "C /etc/sub", "D /etc/sub/f", "A /etc/sub/g", "A /etc/sub/h"],
    ),
    "a write to one of two names": (
        steps("write one z"),
        ["C /far", "C /far/away", "C /far/away/two", "C /one"],
    ),
    "a write to one of two names, which is then removed": (
        steps("write one z", "unlink one"),
        ["C /far", "C /far/away", "C /far/away/two", "D /one"],
    ),
    "a write to a file whose other name was removed": (
        steps("unlink one", "write far/away/two z"),
        ["C /far", "C /far/away", "C /far/away/two", "D /one"],
    ),
    "the move of one of two names with its directory": (
        steps("rename far near"),
        ["D /far", "A /near", "A /near/away", "A /near/away/two", "C /one"],
    ),
    "the removal of one of two names": (steps("unlink one"), ["D /one"]),
    "a further name": (
        steps("link etc/a etc/c"),
        ["C /etc", "C /etc/a", "A /etc/c"],
    ),
    "names that sort by their bytes": (
        steps("create dir-x", "create dir/y"),
        ["C /dir", "A /dir-x", "A /dir/y"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_change_has_its_letter(tmp_path: Path, case: str) -> None:
    stack = Stack(tmp_path / "stack", [BASE], settings=EVERYTHING)
    act, expected = CASES[case]
    assert made(stack, act).lines == expected


def made(stack: Stack, act: Callable[[Kernel], None]) -> Made:
    """Do something in a union, and return the layer of what it did."""
    write(stack.upper, {})
    with stack.opened() as kernel:
        act(kernel)
    return layer_of([stack.lower()], stack.upper, stack.work)


@pytest.mark.parametrize(
    ("upper", "expected"),
    [
        ({"nope": WHITEOUT, "dir/nope": WHITEOUT}, []),
        ({".wh.dir": File()}, ["D /dir"]),
        ({"dir/.wh..wh..opq": File()}, ["C /dir", "D /dir/sub", "D /dir/x"]),
        ({"new": OPAQUE, "new/x": File()}, ["A /new", "A /new/x"]),
        (
            {"dir": OPAQUE, "dir/x": WHITEOUT, "dir/sub": Directory()},
            ["C /dir", "C /dir/sub", "D /dir/sub/g", "D /dir/sub/h", "D /dir/x"],
        ),
        ({"etc/socket": Socket()}, ["C /etc", "A /etc/socket"]),
    ],
)
def test_what_others_wrote_is_read_as_it_shows(tmp_path: Path, upper: Layer, expected: list[str]) -> None:
    write(tmp_path / "lower", BASE)
    write(tmp_path / "upper", upper)
    assert layer_of([tmp_path / "lower"], tmp_path / "upper", None).lines == expected


def test_what_only_a_lower_layer_hides_is_no_change(tmp_path: Path) -> None:
    write(tmp_path / "base", BASE)
    write(tmp_path / "middle", {"dir": WHITEOUT, "etc/a": WHITEOUT})
    write(tmp_path / "upper", {"dir": WHITEOUT, "etc/a": File()})
    found = layer_of([tmp_path / "middle", tmp_path / "base"], tmp_path / "upper", None)
    assert found.lines == ["C /etc", "A /etc/a"]
