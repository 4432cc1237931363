"""What a view shows of a stack, against the tree worked out on paper and against the kernel's overlayfs."""

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.stacks import (
    OPAQUE,
    WHITEOUT,
    Device,
    Directory,
    Fifo,
    File,
    HardLink,
    Layer,
    Symlink,
    merged,
    write,
)  # fmt: skip
from tests.unions import open_descriptors
from unionfs.view import View, open_view
from unionfs.view import view as view_module

BASE: Layer = {
    "etc": Directory(mode=0o750, uid=5, gid=6, xattrs={"user.note": b"base"}),
    "etc/passwd": File(content=b"root:x:0:0\n", mode=0o640, uid=1, gid=2, xattrs={"user.a": b"1", "trusted.b": b"2"}),
    "etc/group": File(content=b"root:x:0:\n"),
    "etc/old/a": File(content=b"a"),
    "bin/busybox": File(content=b"#!", mode=0o4755),
    "bin/ls": HardLink("bin/busybox"),
    "bin/sh": Symlink("busybox"),
    "dev/null": Device(stat.S_IFCHR, 1, 3),
    "run/pipe": Fifo(),
}
TOP: Layer = {
    "etc/group": WHITEOUT,
    "etc/old": OPAQUE,
    "etc/old/b": File(content=b"b"),
    "bin/sh": File(content=b"a shell"),
    "opt/app/main": File(content=b"x" * 70_000),
}


def layers(directory: Path, stack: Sequence[Layer]) -> list[Path]:
    """Write *stack*, the lowest first, and give the directories as a view takes them."""
    paths = [directory / f"layer{number}" for number in range(len(stack))]
    for path, layer in zip(paths, stack, strict=True):
        write(path, layer)
    return paths[::-1]


def shown(view: View) -> Mapping[str, tuple[object, ...]]:
    """Read all that a view shows."""
    return {os.fsdecode(entry.path): described(view, entry.path) for entry in view.walk()}


def described(view: View, path: bytes) -> tuple[object, ...]:
    found = view.attributes(path)
    content: bytes = b""
    if found.is_regular:
        with view.open(path) as file:
            content = file.readall()
    elif stat.S_ISLNK(found.mode):
        content = view.readlink(path)
    size = 0 if found.is_directory else found.size
    return found.mode, found.uid, found.gid, size, found.rdev, found.mtime_ns, view.xattrs(path), content


def on_disk(root: Path) -> Mapping[str, tuple[object, ...]]:
    """Read a plain directory in the same form."""
    tree = {}
    for above, directories, files in os.walk(root):
        for path in (Path(above), *(Path(above) / name for name in (*directories, *files))):
            found = os.lstat(path)
            content = b""
            if stat.S_ISREG(found.st_mode):
                content = path.read_bytes()
            elif stat.S_ISLNK(found.st_mode):
                content = os.fsencode(os.readlink(path))
            xattrs = {
                name.encode(): os.getxattr(path, name, follow_symlinks=False)
                for name in sorted(os.listxattr(path, follow_symlinks=False))
            }
            size = 0 if stat.S_ISDIR(found.st_mode) else found.st_size
            relative = str(path.relative_to(root)).removeprefix(".") if path == root else str(path.relative_to(root))
            tree[relative] = (
                found.st_mode, found.st_uid, found.st_gid, size, found.st_rdev, found.st_mtime_ns, xattrs, content,
            )  # fmt: skip
    return tree


def test_a_view_shows_the_merged_tree(tmp_path: Path) -> None:
    write(tmp_path / "expected", merged([BASE, TOP]))
    with open_view(layers(tmp_path, [BASE, TOP])) as view:
        assert shown(view) == on_disk(tmp_path / "expected")


def test_a_walk_gives_each_directory_before_what_is_in_it_with_sorted_names(tmp_path: Path) -> None:
    layer: Layer = {"b/z": File(), "b/a/x": File(), "a-": File(), "a/y": File(), "ab": File()}
    with open_view(layers(tmp_path, [layer])) as view:
        paths = [entry.path for entry in view.walk()]
    assert paths == [b"", b"a", b"a/y", b"a-", b"ab", b"b", b"b/a", b"b/a/x", b"b/z"]


def test_a_walk_may_start_anywhere(tmp_path: Path) -> None:
    with open_view(layers(tmp_path, [BASE, TOP])) as view:
        assert [entry.path for entry in view.walk(b"etc")] == [b"etc", b"etc/old", b"etc/old/b", b"etc/passwd"]
        assert [entry.path for entry in view.walk(b"etc/passwd")] == [b"etc/passwd"]


def test_names_of_one_file_have_one_number(tmp_path: Path) -> None:
    with open_view(layers(tmp_path, [BASE])) as view:
        one, other = view.attributes(b"bin/busybox"), view.attributes(b"bin/ls")
        assert (one.ino, one.nlink) == (other.ino, 2)
        assert one.ino != view.attributes(b"bin/sh").ino


@pytest.mark.parametrize(
    ("path", "number"),
    [
        (b"absent", errno.ENOENT),
        (b"etc/group", errno.ENOENT),
        (b"etc/passwd/x", errno.ENOTDIR),
        (b"n" * 256, errno.ENAMETOOLONG),
        (b"etc//passwd", errno.ENOENT),
        (b".wh.etc", errno.ENOENT),
    ],
)
def test_what_does_not_show_is_an_error_that_names_the_path(tmp_path: Path, path: bytes, number: int) -> None:
    with open_view(layers(tmp_path, [BASE, TOP])) as view:
        for ask in (view.attributes, view.names, view.readlink, view.xattrs, view.open, view.places):
            with pytest.raises(OSError, match=r".") as caught:
                ask(path)
            assert (caught.value.errno, caught.value.filename) == (number, b"/" + path)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    with open_view(layers(tmp_path, [BASE, TOP])) as view:
        for path in (b"dev/null", b"run/pipe"):
            with pytest.raises(OSError, match="not a regular file"):
                view.open(path)
        with pytest.raises(IsADirectoryError):
            view.open(b"etc")
        with pytest.raises(NotADirectoryError):
            view.names(b"etc/passwd")


def test_places_say_which_layers_hold_what_shows(tmp_path: Path) -> None:
    with open_view(layers(tmp_path, [BASE, TOP])) as view:

        def positions(path: bytes) -> list[int]:
            return [place.directory.tree.position for place in view.places(path)]

        assert positions(b"") == positions(b"etc") == [0, 1]
        assert positions(b"etc/old") == positions(b"opt") == positions(b"bin/sh") == [0]
        assert positions(b"bin/ls") == [1]


def test_memory_and_descriptors_stay_bounded_however_large_the_tree(tmp_path: Path) -> None:
    for outer in range(20):
        for inner in range(100):
            directory = tmp_path / f"layer/{outer}/{inner}"
            directory.mkdir(parents=True)
            for name in "abc":
                (directory / name).touch()
    before = len(open_descriptors())
    with open_view([tmp_path / "layer"]) as view:
        known, descriptors = 0, 0
        for count, entry in enumerate(view.walk()):
            if entry.attributes.is_regular:
                view.open(entry.path).close()
            if count % 200 == 0:
                known = max(known, view._union.statistics()["inodes"])
                descriptors = max(descriptors, len(open_descriptors()))
        assert count == 20 + 2000 + 6000
    assert known <= view_module._REMEMBERED + 8
    assert descriptors - before < 200


def test_a_path_of_more_directories_than_are_remembered_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_module, "_REMEMBERED", 8)
    deep = "/".join(["d"] * 60)
    write(tmp_path / "layer", {f"{deep}/file": File(content=b"x"), f"{deep}/other": File(), "a/b": File()})
    with open_view([tmp_path / "layer"]) as view:
        paths = [entry.path for entry in view.walk()]
        assert len(paths) == 1 + 60 + 2 + 2
        assert view.attributes(f"{deep}/file".encode()).size == 1
        assert view.attributes(b"a/b").size == 0
        assert view.names(deep.encode()) == [b"file", b"other"]


def test_nothing_is_left_open(tmp_path: Path) -> None:
    paths = layers(tmp_path, [BASE, TOP])
    before = open_descriptors()
    with open_view(paths) as view:
        shown(view)
    assert open_descriptors() == before


def test_a_layer_that_is_not_there_is_named(tmp_path: Path) -> None:
    before = open_descriptors()
    (tmp_path / "there").mkdir()
    with pytest.raises(FileNotFoundError, match="absent"), open_view([tmp_path / "there", tmp_path / "absent"]):
        pass
    assert open_descriptors() == before


def test_a_view_needs_a_layer() -> None:
    with pytest.raises(ValueError, match="a view needs a layer"), open_view([]):
        pass
