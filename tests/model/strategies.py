"""Random stacks and random operations, over so few names that they keep meeting each other.

What is drawn are numbers, one for each node and each operation: hypothesis can leave any of them out. The operations
are chosen when their turn comes, by the number and by what is there then, so that most of them have something to do.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from hypothesis import strategies as st

from tests.model.operations import Kind, Operation
from tests.stacks import (
    HOLDS_XATTR_WHITEOUTS,
    OPAQUE,
    WHITEOUT,
    Device,
    Directory,
    Fifo,
    File,
    HardLink,
    Layer,
    Node,
    Symlink,
    merged,
)

NAMES = "abcd"
TARGETS = ("a", "b", "c", "a/b", "b/c", "../a", "..", "none")
numbers = st.integers(0, 1 << 32)


def _any_path(random: Random) -> str:
    return "/".join(random.choices(NAMES, k=random.choice((1, 1, 2, 2, 3))))


def _node(random: Random) -> Node:
    match random.choices(range(8), (8, 6, 2, 2, 1, 1, 4, 3))[0]:
        case 0:
            return File(
                random.choice((b"", b"small", b"content of a lower file;" * 300)),
                mode=random.choice((0o644, 0o600, 0o666, 0o755, 0o4755)),
                uid=random.choice((0, 5, 65534)),
                xattrs=random.choice(({}, {"user.a": b"low"}, {"trusted.c": b"low", "user.b": b""})),
            )
        case 1:
            return Directory(
                mode=random.choice((0o755, 0o777, 0o1777, 0o700, 0o2775)),
                uid=random.choice((0, 65534)),
                xattrs=random.choice(({}, {"user.a": b"low"})),
            )
        case 2:
            return OPAQUE
        case 3:
            return HOLDS_XATTR_WHITEOUTS
        case 4:
            return random.choice((Fifo(), Device(stat.S_IFCHR, 0, 1)))
        case 5:
            return Symlink(random.choice(TARGETS))
        case 6:
            return WHITEOUT
        case _:
            return HardLink(_any_path(random))


def stack_of(seeds: Sequence[Sequence[int]]) -> tuple[Layer, ...]:
    """Return the layers, topmost first, that the numbers of each stand for."""
    layers: list[Layer] = []
    for numbers_of_layer in seeds:
        layers.append(_layer_of(numbers_of_layer, merged(layers)))
    return tuple(reversed(layers))


def _layer_of(seeds: Sequence[int], beneath: Layer) -> Layer:
    """Return a layer with a node for each number that can lie beside the others, shallow ones first.

    A whiteout is kept where it hides something, as all that overlayfs makes: what it shows of others depends on
    whether their directory lies in one layer alone. The xattr form isn't drawn: overlayfs never takes a directory with
    one for empty.
    """
    entries = []
    for seed in seeds:
        random = Random(seed)
        entries.append((_any_path(random), _node(random)))
    layer: dict[str, Node] = {}
    for path, node in sorted(entries, key=lambda entry: (entry[0].count("/"), isinstance(entry[1], HardLink))):
        above = path.rpartition("/")[0]
        if path in layer or not _can_hold(layer, above):
            continue
        if isinstance(node, HardLink) and not isinstance(layer.get(node.to), File):
            continue
        if node == WHITEOUT and (path not in beneath or layer.get(above) == OPAQUE):
            continue
        layer[path] = node
    return layer


def _can_hold(layer: Layer, path: str) -> bool:
    """Tell whether the path is or may become a directory of the layer."""
    while path:
        if path in layer:
            return isinstance(layer[path], Directory)
        path = path.rpartition("/")[0]
    return True


@dataclass(frozen=True)
class Tree:
    """The names that are in a tree now."""

    files: list[str]
    directories: list[str]


def tree_of(root: Path) -> Tree:
    """Read the names of a tree."""
    files, directories = [], ["."]
    for directory, inner, names in os.walk(root):
        place = os.path.relpath(directory, root)
        files += [os.path.normpath(f"{place}/{name}") for name in sorted(names)]
        directories += [os.path.normpath(f"{place}/{name}") for name in sorted(inner)]
        inner.sort()
    return Tree(files, directories)


def operation_of(seed: int, tree: Tree, kinds: Mapping[str, Kind]) -> Operation:
    """Choose the operation that the number stands for in this tree."""
    random = Random(seed)
    kind = random.choices(list(kinds), [kind.weight for kind in kinds.values()])[0]
    other_aim = random.choice(("new", "new", "any", "file", "directory"))
    return Operation(
        kind=kind,
        path=_path(random, kinds[kind].aim, tree),
        other=_path(random, other_aim, tree),
        number=random.randrange(16),
        # Over pyfuse3 who opened a file decides whether a write clears set-id bits, not who writes.
        as_nobody=random.random() < 0.15 and kind != "hold",
    )


def _path(random: Random, aim: str, tree: Tree) -> str:
    if random.random() < 0.15:
        return _any_path(random)
    if aim == "new":
        return os.path.normpath(f"{random.choice(tree.directories)}/{random.choice(NAMES)}")
    there = {"file": tree.files, "directory": tree.directories[1:]}.get(aim, tree.files + tree.directories[1:])
    return random.choice(there or ["a"])


class Example:
    """A stack, topmost first, and the numbers of what is done before and after it is mounted anew."""

    def __init__(self, lowers: tuple[Layer, ...], sessions: tuple[Sequence[int], Sequence[int]]) -> None:
        self.lowers = lowers
        self.sessions = sessions

    def __repr__(self) -> str:
        """Say little: the test tells what was done."""
        return f"<{sum(map(len, self.lowers))} nodes, {sum(map(len, self.sessions))} operations>"


@st.composite
def examples(draw: st.DrawFn, lowers: int, steps: int) -> Example:
    """Draw an example of so many lowers and of up to so many operations in each of the two sessions."""
    layer = st.lists(numbers, min_size=4, max_size=12)
    session = st.lists(numbers, min_size=steps // 2, max_size=steps)
    stack = stack_of([draw(layer) for _ in range(lowers)])
    return Example(lowers=stack, sessions=(draw(session), draw(session)))
