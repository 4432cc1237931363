"""Grafts: stacks of layers that show in the place of directories of another one."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stacks import DOT_OPAQUE, OPAQUE, WHITEOUT, Directory, File, HardLink, Layer, Symlink, write
from tests.unions import EVERYTHING, Kernel, Shown, Stack, open_descriptors
from unionfs.layer.ahead import Route, Taken
from unionfs.layer.appearance import Appearance, device_at
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import Directory as LayerDirectory
from unionfs.layer.lower import open_lower
from unionfs.layer.open_upper import UpperOptions, open_upper
from unionfs.union import loading, prefetch
from unionfs.union.grafts import Graft
from unionfs.union.inode import Inode
from unionfs.union.prefetch import Prefetch
from unionfs.union.settings import Settings
from unionfs.union.step import run
from unionfs.union.table import InodeTable
from unionfs.union.union import Union

LAYERS: Sequence[Layer] = (
    {
        "d/gone": File(b"gone"),
        "d/kept": File(b"kept"),
        "d/two": HardLink("d/kept"),
        "o/below": File(b"below"),
        "t": File(b"t"),
    },
    {
        "d/gone": WHITEOUT,
        "d/new": File(b"new", xattrs={"user.a": b"b"}),
        "o": OPAQUE,
        "o/own": File(b"own"),
        "t/inner": Symlink("../d"),
    },
    {".wh.o": File(), "d": Directory(mode=0o700), "d/kept": File(b"KEPT")},
)
"""The lowest first."""
PATHS = ("all", "layers/1", "layers/2", "layers/3", "steps/1", "steps/2", "steps/3")
SKELETON: Layer = {path: Directory() for path in PATHS}


def grafts_of(layers: Sequence[LayerDirectory]) -> list[Graft]:
    """Give grafts for every view of *layers*, the lowest first."""
    counts = range(1, len(layers) + 1)
    return [
        Graft(b"all", layers[::-1]),
        *[Graft(b"layers/%d" % count, [layers[count - 1]]) for count in counts],
        *[Graft(b"steps/%d" % count, layers[:count][::-1]) for count in counts],
    ]


class Grafted:
    """Layers on disk, the lowest first, and the directories in whose place they show."""

    def __init__(self, directory: Path, layers: Sequence[Layer] = LAYERS, skeleton: Layer = SKELETON) -> None:
        self.skeleton = directory / "skeleton"
        self.layers = [directory / f"layer{count}" for count in range(1, len(layers) + 1)]
        for path, layer in zip((self.skeleton, *self.layers), (skeleton, *layers), strict=True):
            write(path, layer)

    @contextmanager
    def opened(self, settings: Settings = EVERYTHING) -> Iterator[Kernel]:
        descriptors = Descriptors(32)
        roots = [
            open_lower(os.fsencode(path), place, descriptors)
            for place, path in enumerate((self.skeleton, *self.layers))
        ]
        union = Union(None, roots[:1], settings, grafts_of(roots[1:]))
        try:
            yield Kernel(union)
        finally:
            union.close()
            for root in roots:
                root.close()


@pytest.fixture
def grafted(tmp_path: Path) -> Grafted:
    return Grafted(tmp_path)


def beneath(tree: dict[str, Shown], path: str) -> dict[str, Shown]:
    return {name.removeprefix(f"{path}/"): shown for name, shown in tree.items() if name.startswith(f"{path}/")}


def plain(layers: Sequence[Path]) -> dict[str, Shown]:
    """Give what a stack of *layers*, the topmost first, shows by itself."""
    descriptors = Descriptors(32)
    roots = [open_lower(os.fsencode(path), place, descriptors) for place, path in enumerate(layers)]
    union = Union(None, roots, EVERYTHING)
    try:
        return Kernel(union).tree()
    finally:
        union.close()
        for root in roots:
            root.close()


def without_numbers(tree: dict[str, Shown]) -> dict[str, Shown]:
    return {path: shown._replace(ino=0) for path, shown in tree.items()}


def test_every_graft_shows_what_its_layers_show_by_themselves(grafted: Grafted) -> None:
    stacks = {"all": grafted.layers[::-1]}
    for count, layer in enumerate(grafted.layers, start=1):
        stacks |= {f"layers/{count}": [layer], f"steps/{count}": grafted.layers[:count][::-1]}
    with grafted.opened() as kernel:
        tree = kernel.tree()
    assert set(stacks) == set(PATHS)
    for path, layers in stacks.items():
        assert without_numbers(beneath(tree, path)) == without_numbers(plain(layers)), path


def test_the_first_graft_has_the_numbers_of_a_mount_of_its_own(grafted: Grafted) -> None:
    with grafted.opened() as kernel:
        assert beneath(kernel.tree(), "all") == plain(grafted.layers[::-1])


def test_a_layer_alone_shows_its_own_files_and_no_whiteouts(grafted: Grafted) -> None:
    with grafted.opened() as kernel:
        assert set(beneath(kernel.tree(), "layers/2")) == {"d", "d/new", "o", "o/own", "t", "t/inner"}
        assert set(beneath(kernel.tree(), "layers/3")) == {"d", "d/kept"}


def test_a_step_is_what_the_layers_up_to_it_show(grafted: Grafted) -> None:
    with grafted.opened() as kernel:
        assert kernel.names("steps/2/o") == ["own"]
        assert kernel.lookup("steps/3/o") is None
        assert [kernel.read(f"steps/{count}/d/kept") for count in (1, 2, 3)] == [b"kept", b"kept", b"KEPT"]
        assert [stat.S_ISDIR(kernel.stat(f"steps/{count}/t").mode) for count in (1, 2)] == [False, True]


def test_an_opaque_root_hides_what_is_beneath_it_and_nothing_alone(tmp_path: Path) -> None:
    layers: Sequence[Layer] = ({"a": File()}, {".": OPAQUE, "b": File()}, {DOT_OPAQUE: File(), "c": File()})
    with Grafted(tmp_path, layers).opened() as kernel:
        assert kernel.names("all") == ["c"]
        assert [kernel.names(f"layers/{count}") for count in (1, 2, 3)] == [["a"], ["b"], ["c"]]
        assert [kernel.names(f"steps/{count}") for count in (1, 2, 3)] == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize("ino32", [False, True])
def test_no_number_is_two_files_and_each_is_there_again(grafted: Grafted, *, ino32: bool) -> None:
    settings = EVERYTHING._replace(ino32=ino32)
    with grafted.opened(settings) as kernel:
        first = kernel.tree()
        held = [shown.ino for path, shown in first.items() if not path.endswith("/two")]
        assert len(set(held)) == len(held)
        kernel.forget_everything()
        assert kernel.tree() == first
    with grafted.opened(settings) as kernel:
        kernel.tree()
        kernel.forget_everything(lambda numbers: numbers[::-1])
        assert {path: shown.ino for path, shown in kernel.tree().items()} == {
            path: shown.ino for path, shown in first.items()
        }


def test_hard_links_are_one_file_within_a_graft_and_another_in_the_next(grafted: Grafted) -> None:
    with grafted.opened() as kernel:
        first, second = kernel.stat("steps/1/d/kept"), kernel.stat("steps/1/d/two")
        assert (first.ino, first.nlink) == (second.ino, second.nlink) == (first.ino, 2)
        assert kernel.stat("steps/2/d/two").ino == kernel.stat("steps/2/d/kept").ino != first.ino


def test_listings_tell_the_numbers_and_types_that_looking_up_gives(grafted: Grafted) -> None:
    with grafted.opened() as kernel:
        for path in ["steps", "layers", *PATHS, "steps/2/d", "layers/2/o"]:
            for named in kernel.union.names(kernel.number_of(path), 2):
                shown = kernel.stat(f"{path}/{os.fsdecode(named.name)}")
                assert (named.number, named.kind.value) == (shown.ino, stat.S_IFMT(shown.mode) >> 12), named


def test_the_directory_above_a_graft_is_that_of_the_stack(grafted: Grafted) -> None:
    with grafted.opened() as kernel:
        number = kernel.number("steps/2")
        above = next(named for named in kernel.union.names(number, 0) if named.name == b"..")
        assert above.number == kernel.number("steps")
        found = kernel.union.lookup(number, b"..")
        assert found is not None
        assert found.ino == kernel.number("steps")


def test_attributes_of_files_show_in_grafts(grafted: Grafted) -> None:
    with grafted.opened() as kernel:
        assert kernel.xattrs("layers/2/d/new") == kernel.xattrs("steps/3/d/new") == {b"user.a": b"b"}


def test_a_redirect_goes_on_within_its_own_graft(tmp_path: Path) -> None:
    moved = Directory(xattrs={"trusted.overlay.redirect": b"/a/old"})
    layers: Sequence[Layer] = ({"a/old/f": File(b"f")}, {"a": Directory(), "new": moved}, {"x": File()})
    with Grafted(tmp_path, layers).opened() as kernel:
        assert [kernel.read(f"{path}/new/f") for path in ("all", "steps/2", "steps/3")] == [b"f"] * 3
        assert kernel.names("layers/2/new") == []


def test_a_file_whose_content_is_beneath_is_read_in_each_graft_that_has_it(tmp_path: Path) -> None:
    mark = {"trusted.overlay.metacopy": b"", "trusted.overlay.redirect": b"/a/old"}
    layers: Sequence[Layer] = ({"a/old": File(b"old")}, {"new": File(xattrs=mark, size=3)})
    with Grafted(tmp_path, layers).opened() as kernel:
        assert kernel.read("steps/2/new") == b"old"
        with pytest.raises(OSError, match="content of this file is missing"):
            kernel.read("layers/2/new")


def test_grafts_that_nobody_looks_into_cost_no_descriptor(tmp_path: Path) -> None:
    count = 100
    layers = [{"d/f": File(b"%d" % number), f"d/{number}": File()} for number in range(count)]
    paths = ["all", *(f"{kind}/{number}" for kind in ("layers", "steps") for number in range(1, count + 1))]
    grafted = Grafted(tmp_path, layers, {path: Directory() for path in paths})
    before = len(open_descriptors())
    with grafted.opened() as kernel:
        assert len(open_descriptors()) - before == count + 1
        numbers = [kernel.number(f"{path}/d/f") for path in paths]
        assert len(set(numbers)) == len(paths)
        assert [len(kernel.names(f"steps/{number}/d")) for number in (1, 50, 100)] == [2, 51, 101]
        assert len(open_descriptors()) - before <= count + 1 + 32
    assert len(open_descriptors()) == before


@pytest.mark.parametrize("device", [0xFE00, 0xFE01], ids=["of the stack", "inside a layer"])
def test_numbers_of_many_grafts_are_told_apart_by_their_high_bits(device: int) -> None:
    table = InodeTable()
    for place in range(1200):
        table.know_device(device_at(place, 0xFE00))
    high = {table.natural_number(device_at(place, device), 2) >> 40 for place in range(1200)}
    assert len(high) == 1200


def test_a_stack_with_an_upper_takes_no_grafts(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [SKELETON])
    descriptors = Descriptors(32)
    opened = open_upper(os.fsencode(stack.upper), os.fsencode(stack.work), descriptors, UpperOptions())
    lower = open_lower(os.fsencode(stack.lower()), 0, descriptors)
    try:
        with pytest.raises(ValueError, match="no grafts"):
            Union(opened.upper, [lower], EVERYTHING, [Graft(b"all", [lower])])
    finally:
        opened.close()
        lower.close()


def test_an_appearance_learns_what_the_layer_has_learnt_of_its_pace(tmp_path: Path) -> None:
    layer = open_lower(os.fsencode(tmp_path), 0, Descriptors(32))
    try:
        shown = [Appearance.of(layer, place=place, position=0) for place in (0, 1)]
        shown[0].tree.pace.note(5.0, 1)
        assert shown[1].child(b"x").tree.pace.is_slow
        assert layer.tree.pace.is_slow
    finally:
        layer.close()


MANY: Sequence[Layer] = ({f"many/f{number}": File(b"x") for number in range(40)}, {"other": File()})


def test_what_is_read_next_in_a_graft_is_read_ahead_in_its_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[tuple[int, bytes, bytes]] = []

    def read_content(parts: Sequence[tuple[Route, Sequence[bytes]]], _limit: int) -> int:
        found = [(route.root_fd, route.path, name) for route, names in parts for name in names]
        wanted.extend(found)
        return len(found)

    monkeypatch.setattr(prefetch, "read_content", read_content)
    with Grafted(tmp_path, MANY).opened() as kernel:
        reader = Prefetch()
        names = kernel.names("steps/2/many")
        for name in names[:6]:
            node = kernel.node(f"steps/2/many/{name}")
            assert isinstance(node, Inode)
            aside = reader.note(node, cold=True)
            if aside is not None:
                aside.learn(aside.step())
        layer = kernel.union.layers[-1]
        assert {found[:2] for found in wanted} == {(layer.root_fd, b"many")}
        assert {name for _, _, name in wanted} <= set(map(os.fsencode, names))


def test_a_slow_layer_is_read_ahead_in_each_graft_that_it_shows_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[int, bytes]] = []

    def read_names(routes: Sequence[Route]) -> list[Taken]:
        read.extend((route.root_fd, route.path) for route in routes)
        return []

    monkeypatch.setattr(loading, "read_names", read_names)
    with Grafted(tmp_path, MANY).opened() as kernel:
        layer = kernel.union.layers[-1]
        for path in ("layers/1/many", "steps/1/many", "steps/2/many"):
            number = kernel.number(path)
            layer.tree.pace.note(1.0, 0)
            operation = kernel.union.before_listing(number, 0, attributes=False)
            assert operation is not None
            run(operation)
            assert len(kernel.names(path)) == 40
        assert read == [(layer.root_fd, b"many")] * 3
