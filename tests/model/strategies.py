"""Random stacks and random operations, over so few names that they keep meeting each other."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.model.operations import KINDS, Operation
from tests.stacks import (
    HOLDS_XATTR_WHITEOUTS,
    OPAQUE,
    WHITEOUT,
    XATTR_WHITEOUT,
    Device,
    Directory,
    Fifo,
    File,
    HardLink,
    Layer,
    Node,
    Symlink,
)


def _possible(entries: Sequence[tuple[str, Node]]) -> Layer:
    """Keep the entries that can lie together in one directory tree, shallow ones first."""
    layer: dict[str, Node] = {}
    for path, node in sorted(entries, key=lambda entry: entry[0].count("/")):
        above = path.rpartition("/")[0]
        if path in layer or not _is_directory(layer, above):
            continue
        if isinstance(node, HardLink) and not isinstance(layer.get(node.to), File):
            continue
        while above and above not in layer:
            layer[above] = Directory()
            above = above.rpartition("/")[0]
        inside = layer.get(path.rpartition("/")[0])
        layer[path] = XATTR_WHITEOUT if node == WHITEOUT and inside == HOLDS_XATTR_WHITEOUTS else node
    return layer


def _is_directory(layer: Layer, path: str) -> bool:
    """Tell whether the path is or may become a directory of the layer."""
    while path:
        if path in layer:
            return isinstance(layer[path], Directory)
        path = path.rpartition("/")[0]
    return True


NAMES = "abc"
names = st.sampled_from(NAMES)
paths = st.one_of(names, st.lists(names, min_size=1, max_size=3).map("/".join))
targets = st.sampled_from(["a", "b", "c", "a/b", "b/c", "../a", "..", "none"])

files = st.builds(
    File,
    content=st.sampled_from([b"", b"small", b"content of a lower file;" * 300]),
    mode=st.sampled_from([0o644, 0o600, 0o666, 0o755, 0o4755]),
    uid=st.sampled_from([0, 5, 65534]),
    xattrs=st.sampled_from([{}, {"user.a": b"low"}, {"trusted.c": b"low", "user.b": b""}]),
)
directories = st.one_of(
    st.builds(
        Directory,
        mode=st.sampled_from([0o755, 0o777, 0o1777, 0o700, 0o2775]),
        uid=st.sampled_from([0, 65534]),
        xattrs=st.sampled_from([{}, {"user.a": b"low"}]),
    ),
    st.just(OPAQUE),
    st.just(HOLDS_XATTR_WHITEOUTS),
)
others: st.SearchStrategy[Node] = st.one_of(
    st.builds(Symlink, target=targets),
    st.just(Fifo()),
    st.just(Device(stat.S_IFCHR, 0, 1)),
    st.just(WHITEOUT),
    st.just(WHITEOUT),
    st.builds(HardLink, to=paths),
)
nodes: st.SearchStrategy[Node] = st.one_of(files, directories, others)
layers = st.lists(st.tuples(paths, nodes), max_size=8).map(_possible)


operations = st.builds(
    Operation,
    kind=st.sampled_from(sorted(KINDS)),
    path=paths,
    other=paths,
    number=st.integers(0, 15),
    as_nobody=st.sampled_from([False, False, False, False, True]),
)


@dataclass(frozen=True)
class Example:
    """A stack, topmost first, and what is done on it before and after it is mounted anew."""

    lowers: tuple[Layer, ...]
    before: tuple[Operation, ...]
    after: tuple[Operation, ...]


def examples(lowers: int, steps: int) -> st.SearchStrategy[Example]:
    """Give examples of so many lowers and of up to so many operations in each of the two sessions."""
    steps_of_session = st.lists(operations, max_size=steps).map(tuple)
    return st.builds(
        Example,
        lowers=st.tuples(*[layers] * lowers),
        before=steps_of_session,
        after=steps_of_session,
    )
