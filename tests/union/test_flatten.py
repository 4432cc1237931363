"""Flattening an upper: it shows the same, and needs no lower, mark or index for it any more.

What an upper needs from beneath: overlayfs, "Redirecting directories" and "Metadata only copy up". What other overlays
show of the result is tested in ``test_flatten_interchange``.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.stacks import OPAQUE, WHITEOUT, Directory, Fifo, File, HardLink, Layer, Symlink, write
from tests.unions import EVERYTHING, Kernel, Stack
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import Directory as LayerDirectory
from unionfs.layer.lower import open_lower
from unionfs.layer.open_upper import OpenedUpper, UpperError, UpperOptions, open_upper
from unionfs.linux.rename import RENAME_EXCHANGE
from unionfs.union.flatten import Copied, FlattenError, LowersNeededError, flatten, refuse_links
from unionfs.union.table import ROOT

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
BOTTOM: Layer = {
    "f": File(b"f" * 5000, mode=0o4755, uid=3, xattrs={"user.k": b"v"}),
    "capable": File(b"program", mode=0o755, xattrs={"security.capability": CAPABILITY}),
    "sparse": File(b"x" * 4096, extents=(0, 1 << 20), size=3 << 19),
    "d": Directory(mode=0o2755, gid=5, xattrs={"user.d": b"d"}),
    "d/a": File(b"a"),
    "d/b": File(b"b", mode=0o600, uid=7),
    "d/sub/c": File(b"c"),
    "d/sub/link": Symlink("../a"),
    "d/fifo": Fifo(mode=0o622),
    "one": File(b"linked" * 100, uid=3),
    "two": HardLink("one"),
    "d/three": HardLink("one"),
    "elsewhere/four": HardLink("one"),
    "e/x": File(b"x"),
}
TOP: Layer = {"d/a": WHITEOUT, "d/top": File(b"top"), "e": OPAQUE, "e/y": File(b"y"), "e/z": HardLink("e/y")}
DEVICE, PREFIX, USER = UpperOptions(), UpperOptions(prefix_whiteouts=True), UpperOptions(user_namespace=True)
FORMS = {"device": DEVICE, "prefix": PREFIX, "user": USER}


def _remove(kernel: Kernel, path: str) -> None:
    """Remove a directory with all in it."""
    for name in kernel.names(path):
        inner = f"{path}/{name}"
        if stat.S_ISDIR(kernel.stat(inner).mode):
            _remove(kernel, inner)
        else:
            kernel.unlink(inner)
    kernel.rmdir(path)


def _all_but_times(kernel: Kernel) -> None:
    """Change every file's mode, so that each is a metacopy."""
    for path in ("f", "capable", "sparse", "d/b", "d/top", "one", "e/z"):
        kernel.change(path, mode=0o750)


SESSIONS: dict[str, tuple[Callable[[Kernel], object], ...]] = {
    "nothing": (),
    "a metacopy": (lambda k: k.change("f", uid=9),),
    "a metacopy of a capable program": (lambda k: k.change("capable", mode=0o700),),
    "a metacopy of a sparse file": (lambda k: k.change("sparse", gid=9),),
    "metacopies of everything": (_all_but_times,),
    "a renamed metacopy": (lambda k: k.change("f", uid=9), lambda k: k.rename("f", "d/sub/g")),
    "a linked metacopy": (lambda k: k.change("f", uid=9), lambda k: k.link("f", "e/f2")),
    "a renamed directory": (lambda k: k.rename("d", "e/moved"),),
    "a renamed directory with changes in it": (
        lambda k: k.unlink("d/b"),
        lambda k: k.write("d/sub/c", b"written"),
        lambda k: k.rename("d", "moved"),
        lambda k: k.create("moved/new"),
        lambda k: k.change("moved/top", mode=0o611),
        lambda k: k.unlink("moved/three"),
    ),
    "a renamed directory in a renamed one": (
        lambda k: k.rename("d/sub", "d/sub2"),
        lambda k: k.rename("d", "e/moved"),
        lambda k: k.rename("e/moved/sub2", "back"),
        lambda k: k.mkdir("d"),
    ),
    "two directories exchanged": (lambda k: k.rename("d", "e", RENAME_EXCHANGE),),
    "a directory where one was removed": (
        lambda k: _remove(k, "e"),
        lambda k: k.rename("d", "e"),
        lambda k: k.mkdir("d"),
        lambda k: k.create("d/b"),
    ),
    "a hard link written": (lambda k: k.write("two", b"written"),),
    "a hard link's metadata": (lambda k: k.change("two", mode=0o711),),
    "a hard link with another name": (lambda k: k.link("one", "e/five"), lambda k: k.unlink("two")),
    "a hard link removed": (lambda k: k.unlink("one"),),
    "hard links removed": (lambda k: k.unlink("one"), lambda k: k.unlink("d/three"), lambda k: k.unlink("two")),
    "a hard link in a renamed directory": (
        lambda k: k.rename("d", "moved"),
        lambda k: k.rename("moved/three", "elsewhere/renamed"),
    ),
    "removed": (lambda k: k.unlink("f"), lambda k: _remove(k, "d")),
    "removed and made again": (
        lambda k: _remove(k, "d"),
        lambda k: k.mkdir("d"),
        lambda k: k.create("d/a"),
        lambda k: k.unlink("f"),
        lambda k: k.mkdir("f"),
    ),
}  # fmt: skip


class Seen(NamedTuple):
    """All that a name shows. ``names`` are the names of its inode; a directory's own size and links aren't compared."""

    mode: int
    owner: tuple[int, int]
    rdev: int
    links: int
    mtime_ns: int
    xattrs: dict[bytes, bytes]
    content: bytes
    names: frozenset[str]


def seen(stack: Stack) -> dict[str, Seen]:
    """Open the stack and read everything."""
    with stack.opened() as kernel:
        tree = kernel.tree()
        names: dict[int, set[str]] = {}
        for path, entry in tree.items():
            names.setdefault(entry.ino, set()).add(path)
        found = {}
        for path, entry in tree.items():
            shown = kernel.stat(path)
            found[path] = Seen(
                shown.mode, (shown.uid, shown.gid), shown.rdev, entry.links, shown.mtime_ns,
                kernel.xattrs(path), entry.content, frozenset(names[entry.ino]),
            )  # fmt: skip
        root = kernel.union.getattr(ROOT)
        found["."] = Seen(root.mode, (root.uid, root.gid), 0, 0, root.mtime_ns, kernel.xattrs("."), b"", frozenset("."))
        return found


@contextmanager
def opened(stack: Stack, lowers: int) -> Iterator[tuple[OpenedUpper, list[LayerDirectory]]]:
    """Open the upper as the command does, and the topmost of the lowers."""
    descriptors = Descriptors(32)
    upper = open_upper(os.fsencode(stack.upper), os.fsencode(stack.work), descriptors, UpperOptions(patience=0))
    layers = [open_lower(os.fsencode(stack.lower(place)), place, descriptors) for place in range(lowers)]
    try:
        yield upper, layers
    finally:
        descriptors.close()
        upper.close()
        for root in layers:
            root.close()


def flattened(stack: Stack, lowers: int | None = None) -> Copied:
    """Flatten, with all lowers unless told how many."""
    with opened(stack, len(stack.lowers) if lowers is None else lowers) as (upper, layers):
        return flatten(upper.upper, layers, lambda _: None)


def marks(upper: Path) -> list[str]:
    """Name everything in the upper that isn't plain."""
    found = []
    alone: set[Path] = set()
    for above, directories, files in os.walk(upper):
        place = Path(above)
        is_opaque = "trusted.overlay.opaque" in os.listxattr(place)
        if is_opaque or place.parent in alone:
            alone.add(place)
        for path in (place, *(place / name for name in (*files, *directories))):
            found += [f"{path}: {name}" for name in _private(path)]
            if path.name.startswith(".wh."):
                found.append(f"{path}: a file that is a whiteout by its name")
            if stat.S_ISCHR(path.lstat().st_mode) and path.lstat().st_rdev == 0 and place in alone:
                found.append(f"{path}: a whiteout that hides nothing")
    return found


def _private(path: Path) -> list[str]:
    """Name the private attributes of an entry but for one that says that it is opaque."""
    names = [name for name in os.listxattr(path, follow_symlinks=False) if ".overlay." in name or ".contain" in name]
    return [name for name in names if not name.endswith(".opaque") or os.getxattr(path, name) != b"y"]


def written(tmp_path: Path, session: str, form: UpperOptions = DEVICE) -> Stack:
    stack = Stack(tmp_path / "stack", (TOP, BOTTOM), EVERYTHING, form)
    with stack.opened() as kernel:
        for change in SESSIONS[session]:
            change(kernel)
    return stack


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("session", SESSIONS)
def test_a_flattened_upper_shows_the_same_and_is_plain(tmp_path: Path, session: str, form: str) -> None:
    stack = written(tmp_path, session, FORMS[form])
    before = seen(stack)
    flattened(stack)
    stack.options = DEVICE
    assert marks(stack.upper) == []
    assert os.listdir(stack.work / "work") == []
    assert seen(stack) == before


@pytest.mark.parametrize("session", SESSIONS)
def test_a_flattened_upper_needs_no_lower_to_be_flattened_again(tmp_path: Path, session: str) -> None:
    stack = written(tmp_path, session)
    flattened(stack)
    before = seen(stack)
    assert flattened(stack, 0) == Copied()
    assert seen(stack) == before


def test_nothing_is_copied_that_isnt_needed(tmp_path: Path) -> None:
    stack = written(tmp_path, "a metacopy")
    assert flattened(stack) == Copied(files=1, bytes=5000)
    assert os.listdir(stack.upper) == ["f"]


def test_a_renamed_directory_becomes_a_whole_copy_that_is_opaque(tmp_path: Path) -> None:
    stack = written(tmp_path, "a renamed directory")
    copied = flattened(stack)
    moved = stack.upper / "e/moved"
    assert os.getxattr(moved, "trusted.overlay.opaque") == b"y"
    assert sorted(os.listdir(moved)) == ["b", "fifo", "sub", "three", "top"]
    assert (moved / "sub/c").read_bytes() == b"c"
    assert copied.directories == 2  # sub, and where a further name of three is
    assert stat.S_ISCHR((stack.upper / "d").lstat().st_mode)


def test_every_name_of_a_hard_link_is_one_file_of_the_upper(tmp_path: Path) -> None:
    stack = written(tmp_path, "a hard link written")
    assert flattened(stack) == Copied(directories=2, links=3)
    found = {(stack.upper / name).stat().st_ino for name in ("one", "two", "d/three", "elsewhere/four")}
    assert len(found) == 1
    assert (stack.upper / "one").stat().st_nlink == 4


@pytest.mark.parametrize(
    ("session", "path"),
    [
        ("a metacopy", b"f"),
        ("a renamed directory", b"e/moved"),
        ("a hard link written", b""),
        ("a hard link removed", b""),
    ],
)
def test_an_upper_that_goes_on_beneath_is_refused_without_lowers(tmp_path: Path, session: str, path: bytes) -> None:
    stack = written(tmp_path, session)
    before = seen(stack)
    with pytest.raises(LowersNeededError) as refused:
        flattened(stack, 0)
    assert refused.value.filename == path
    assert "lower layers" in str(refused.value.strerror)
    assert seen(stack) == before


@pytest.mark.parametrize(("session", "path"), [("a metacopy", b"f"), ("a renamed directory in a renamed one", b"back")])
def test_lowers_that_lack_what_is_needed_are_refused(tmp_path: Path, session: str, path: bytes) -> None:
    stack = written(tmp_path, session)
    before = seen(stack)
    with pytest.raises(FlattenError, match="name all of them") as refused:
        flattened(stack, 1)
    assert refused.value.filename == path
    assert seen(stack) == before
    flattened(stack)
    assert seen(stack) == before


def test_an_upper_that_is_mounted_is_refused_at_once(tmp_path: Path) -> None:
    stack = written(tmp_path, "a metacopy")
    with stack.opened(), pytest.raises(UpperError) as refused:
        flattened(stack)
    assert refused.value.errno == errno.EBUSY
    assert f"process {os.getpid()}" in str(refused.value.strerror)


def test_an_attribute_whiteout_becomes_a_device(tmp_path: Path) -> None:
    long = "n" * 255
    stack = Stack(
        tmp_path / "stack", ({f"in/{long}": File(), "in/kept": File(), "in/short": File()},), EVERYTHING, PREFIX
    )
    with stack.opened() as kernel:
        kernel.unlink(f"in/{long}")
        kernel.unlink("in/short")
    before = seen(stack)
    assert os.getxattr(stack.upper / "in" / long, "trusted.overlay.whiteout") == b"y"
    flattened(stack)
    assert marks(stack.upper) == []
    assert {(stack.upper / "in" / name).lstat().st_rdev for name in (long, "short")} == {0}
    assert seen(stack) == before


def test_an_attribute_whiteout_in_a_renamed_directory_goes_when_nothing_is_beneath(tmp_path: Path) -> None:
    long = "n" * 255
    stack = Stack(tmp_path / "stack", ({f"in/{long}": File(), "in/kept": File()},), EVERYTHING, PREFIX)
    with stack.opened() as kernel:
        kernel.unlink(f"in/{long}")
        kernel.rename("in", "moved")
    before = seen(stack)
    flattened(stack)
    assert marks(stack.upper) == []
    assert os.listdir(stack.upper / "moved") == ["kept"]
    assert seen(stack) == before


def test_a_directory_that_a_whiteout_beside_it_makes_opaque_stays_so(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", ({"d/low": File(), "f": File()},), EVERYTHING, PREFIX)
    write(stack.upper, {".wh.d": File(), "d/own": File(), ".wh.f": File(), "f": File(b"own")})
    before = seen(stack)
    assert "d/low" not in before
    flattened(stack)
    assert marks(stack.upper) == []
    assert seen(stack) == before


def test_owners_and_devices_that_attributes_record_become_real(tmp_path: Path) -> None:
    record = "user.containers.override_stat"
    upper: Layer = {
        "d": Directory(mode=0o700, xattrs={record: b"5:6:02711:dir"}),
        "f": File(b"x", mode=0o600, xattrs={record: b"7:8:4755:file", "user.k": b"v"}),
        "g": HardLink("f"),
        "null": File(mode=0o600, xattrs={record: b"0:9:0666:char-1-3"}),
        "null2": HardLink("null"),
        "pipe": File(mode=0o600, xattrs={record: b"1:1:0622:pipe"}),
    }
    stack = Stack(tmp_path / "stack", ({},))
    write(stack.upper, upper)
    before = seen(stack)
    assert stat.S_ISCHR(before["null"].mode)
    flattened(stack)
    assert marks(stack.upper) == []
    assert (stack.upper / "null").stat().st_rdev == os.makedev(1, 3)
    assert seen(stack) == before


def test_hard_links_are_refused_where_their_workdir_is_missing(tmp_path: Path) -> None:
    stack = written(tmp_path, "a hard link written")
    (stack.work / "work").rename(tmp_path / "other")
    with opened(stack, 2) as (upper, _), pytest.raises(FlattenError, match="workdir") as refused:
        refuse_links(upper.upper)
    assert refused.value.filename == b"two"
