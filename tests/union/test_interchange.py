"""One upper, used in turn by this program as the drop-in uses it, by kernel overlayfs and by fuse-overlayfs (Debian's).

Whoever made the last change, all three show the same. The marker of an opaque directory is a file that overlayfs shows.
"""

import os
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from tests.filesystems import Attachment, FileSystem, KernelOverlay
from tests.ordinary_user import ordinary_user, user_namespace
from tests.stacks import Directory, File, Layer, Symlink
from tests.union.test_flatten_interchange import FuseOverlayfs
from tests.unions import Kernel, Stack
from unionfs.layer.open_upper import UpperOptions
from unionfs.layer.ownership import OverrideForm
from unionfs.union.union import Caller, Settings, Union

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="overlayfs is mounted, and other users are become, by root")

MARKER = ".wh..wh..opq"
PLAIN = Settings(volatile=True)
DEVICE = UpperOptions(marker_files=True, override=OverrideForm.NEVER)
PREFIX = DEVICE._replace(prefix_whiteouts=True)
LOWER: Layer = {
    **{f"{name}/{inner}": File(inner.encode()) for name in ("d", "e", "g", "k", "m") for inner in ("a", "b", "s/t")},
    "p/q/r/s": File(b"s"),
    "p/q/z": File(b"z"),
    "f": File(b"f", uid=3, gid=4),
    "link": Symlink("f"),
}


class Fusermounted:
    """A mount that its user made through fusermount3."""

    def __init__(self, attachment: Attachment, mountpoint: Path) -> None:
        self._attachment = attachment
        self._mountpoint = mountpoint

    def detach(self) -> None:
        subprocess.run(["fusermount3", "-u", self._mountpoint], check=True)
        self._attachment.detach()


class FuseOverlayfsOfUser(FuseOverlayfs):
    """Debian's fuse-overlayfs, run by an ordinary user."""

    def attach(self, options: Sequence[str], mountpoint: Path, cwd: Path, environment: Mapping[str, str]) -> Attachment:
        return Fusermounted(super().attach(options, mountpoint, cwd, environment), mountpoint)


KERNEL = KernelOverlay(name="overlayfs", defaults=())
KERNEL_IN_NAMESPACE = KernelOverlay(name="overlayfs with userxattr", defaults=("userxattr",))
FUSE, USERS_FUSE = FuseOverlayfs(), FuseOverlayfsOfUser()
Act = Callable[["Tree"], None]
Shown = Mapping[str, tuple[int, int, int, int, bytes]]


class Tree(Protocol):
    """What can be done to a tree, by paths."""

    def names(self, path: str) -> Sequence[str]: ...
    def is_directory(self, path: str) -> bool: ...
    def mkdir(self, path: str) -> object: ...
    def create(self, path: str) -> object: ...
    def unlink(self, path: str) -> object: ...
    def rmdir(self, path: str) -> object: ...
    def rename(self, path: str, new: str) -> object: ...
    def change(self, path: str, **values: int) -> object: ...


class Ours(Kernel):
    """A union in this process, used by whoever runs it."""

    def __init__(self, union: Union) -> None:
        super().__init__(union)
        self.root_caller = Caller(os.geteuid(), os.getegid())

    def is_directory(self, path: str) -> bool:
        return self.stat(path).is_directory


class Mounted:
    """A directory that something is mounted on."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self, path: str) -> Sequence[str]:
        return os.listdir(self._root / path)

    def is_directory(self, path: str) -> bool:
        return (self._root / path).is_dir()

    def mkdir(self, path: str) -> None:
        (self._root / path).mkdir()

    def create(self, path: str) -> None:
        (self._root / path).touch()

    def unlink(self, path: str) -> None:
        (self._root / path).unlink()

    def rmdir(self, path: str) -> None:
        (self._root / path).rmdir()

    def rename(self, path: str, new: str) -> None:
        (self._root / path).rename(self._root / new)

    def change(self, path: str, **values: int) -> None:
        if "mode" in values:
            (self._root / path).chmod(values["mode"])
        else:
            os.chown(self._root / path, values["uid"], values["gid"])


def remove(tree: Tree, path: str) -> None:
    for name in tree.names(path):
        inner = f"{path}/{name}"
        if tree.is_directory(inner):
            remove(tree, inner)
        else:
            tree.unlink(inner)
    tree.rmdir(path)


def recreate(tree: Tree) -> None:
    remove(tree, "d")
    tree.mkdir("d")
    tree.create("d/c")


def move_over(tree: Tree) -> None:
    remove(tree, "e")
    tree.mkdir("new")
    tree.create("new/n")
    tree.rename("new", "e")


def replace_empty(tree: Tree) -> None:
    """Replace a directory by one that shows nothing, and that by another."""
    remove(tree, "g")
    tree.mkdir("g")
    tree.mkdir("h")
    tree.create("h/x")
    tree.rename("h", "g")


def move_away(tree: Tree) -> None:
    """Let a directory that hides lower names move to where there are none, and back."""
    remove(tree, "m")
    tree.mkdir("m")
    tree.create("m/c")
    tree.rename("m", "m2")
    tree.mkdir("m")
    tree.rmdir("m")
    tree.rename("m2", "m")


def recreate_deep(tree: Tree) -> None:
    remove(tree, "p/q")
    tree.mkdir("p/q")
    tree.mkdir("p/q/r")
    tree.create("p/q/r/new")


def change_kinds(tree: Tree) -> None:
    remove(tree, "k")
    tree.create("k")
    tree.unlink("f")
    tree.mkdir("f")
    tree.unlink("link")


ACTS = (recreate, move_over, replace_empty, recreate_deep, change_kinds, move_away)
FAULTY: Mapping[str, Sequence[Act]] = {FUSE.name: (move_away,)}
"""What another can't do: to fuse-overlayfs a directory that was moved away is still there."""


def again(tree: Tree) -> None:
    """Do to what was made by others what its maker may do to it."""
    tree.create("d/later")
    remove(tree, "e")
    tree.mkdir("e")
    tree.mkdir("h")
    tree.rename("h", "e")
    tree.rename("g", "g2")
    remove(tree, "p")
    remove(tree, "f")
    tree.unlink("k")


def make(tree: Tree) -> None:
    tree.create("new")
    tree.mkdir("nd")
    tree.create("nd/x")
    tree.rename("nd", "nd2")


def open_and_close(tree: Tree) -> None:
    """Change permissions; fuse-overlayfs 1.10 forgets over that whose a file of an ordinary user is."""
    tree.change("new", mode=0o640)
    tree.change("nd2", mode=0o711)
    tree.change("d/a", mode=0o600)
    tree.change("d/s", mode=0o750)
    tree.change("e/a", mode=0)
    tree.change("e/a", mode=0o400)


def give_away(tree: Tree) -> None:
    """Give both ids: for one that isn't given fuse-overlayfs 1.10 records -1, and shows the overflow id then."""
    tree.change("new", uid=70, gid=80)
    tree.change("nd2", uid=70, gid=80)
    tree.change("f", uid=3, gid=9)
    tree.change("d", uid=3_000_000_000, gid=1)
    tree.change("g/a", mode=0o4711)


def shown_here(stack: Stack) -> Shown:
    with stack.opened() as kernel:
        return {
            path: (entry.mode, (found := kernel.stat(path)).uid, found.gid, found.rdev, entry.content)
            for path, entry in kernel.tree().items()
        }


def shown_at(root: Path) -> Shown:
    """Read a mounted tree, without the markers, and without names that are listed and aren't there."""
    found: dict[str, tuple[int, int, int, int, bytes]] = {}
    for above, directories, files in os.walk(root):
        for path in (Path(above) / name for name in (*directories, *files) if name != MARKER):
            if not os.path.lexists(path):
                continue
            status, content = path.lstat(), b""
            if stat.S_ISREG(status.st_mode):
                content = path.read_bytes()
            elif stat.S_ISLNK(status.st_mode):
                content = os.fsencode(path.readlink())
            found[str(path.relative_to(root))] = (
                status.st_mode, status.st_uid, status.st_gid, status.st_rdev, content,
            )  # fmt: skip
    return found


@contextmanager
def shown_by(other: FileSystem, stack: Stack, *options: str) -> Iterator[Path]:
    """Mount the stack by another program, and give the mountpoint."""
    root = stack.directory / "merged"
    root.mkdir(exist_ok=True)
    lowers = ":".join(str(stack.lower(place)) for place in range(len(stack.lowers)))
    layers = [f"lowerdir={lowers}", f"upperdir={stack.upper}", f"workdir={stack.work}"]
    attachment = other.attach([*options, *layers], root, stack.directory, {})
    try:
        yield root
    finally:
        attachment.detach()


def act_here(stack: Stack, acts: Sequence[Act]) -> None:
    with stack.opened() as kernel:
        for act in acts:
            act(Ours(kernel.union))


def check_all(stack: Stack, others: Sequence[FileSystem], *options: str) -> None:
    """All show the same, and something."""
    here = shown_here(stack)
    assert here
    for other in others:
        with shown_by(other, stack, *options) as root:
            assert shown_at(root) == here, other.name


def _lower() -> Layer:
    """Give the lower as who runs this can write it."""
    if os.geteuid() == 0:
        return LOWER
    directories = {str(above): Directory() for path in LOWER for above in Path(path).parents}
    return {path: replace(node, uid=os.geteuid(), gid=os.getegid()) for path, node in {**directories, **LOWER}.items()}


def check_turns(directory: Path, overlay: KernelOverlay) -> None:
    """Let each in turn make the changes, and another go on; after each turn all show the same."""
    everyone: Sequence[FileSystem] = (overlay, FUSE)
    for other in everyone:
        stack = Stack(directory / f"ours-{other.name}", (_lower(),), PLAIN, DEVICE)
        act_here(stack, ACTS)
        assert (stack.upper / "d" / MARKER).exists()
        check_all(stack, everyone)
        with shown_by(other, stack) as root:
            again(Mounted(root))
        check_all(stack, everyone)
    for other in everyone:
        stack = Stack(directory / f"theirs-{other.name}", (_lower(),), PLAIN, DEVICE)
        with shown_by(other, stack) as root:
            for act in ACTS:
                if act not in FAULTY.get(other.name, ()):
                    act(Mounted(root))
        # Where fuse-overlayfs can't write trusted.overlay.opaque it takes a name that overlayfs doesn't read.
        readers = (FUSE,) if other is FUSE and overlay is KERNEL_IN_NAMESPACE else everyone
        check_all(stack, readers)
        act_here(stack, (again,))
        check_all(stack, readers)


def check_prefixed(directory: Path, other: FileSystem) -> None:
    """Overlayfs knows no whiteout by a name, so fuse-overlayfs is the only other."""
    stack = Stack(directory / "prefixed", (_lower(),), PLAIN, PREFIX)
    act_here(stack, ACTS)
    assert not [path for path in stack.upper.rglob("*") if stat.S_ISCHR(path.lstat().st_mode)]
    check_all(stack, (other,))
    with shown_by(other, stack) as root:
        again(Mounted(root))
    check_all(stack, (other,))


def check_records(directory: Path, permissions: int, form: OverrideForm, other: FileSystem, *acts: Act) -> None:
    """Let fuse-overlayfs record owners, this program go on, and fuse-overlayfs again; then the other way round."""
    option = f"xattr_permissions={permissions}"
    theirs = Stack(directory / f"theirs{permissions}", (_lower(),), PLAIN, UpperOptions(override=form))
    with shown_by(other, theirs, option) as root:
        for act in acts:
            act(Mounted(root))
    check_all(theirs, (other,), option)
    act_here(theirs, (go_on,))
    check_all(theirs, (other,), option)
    with shown_by(other, theirs, option) as root:
        go_on_further(Mounted(root))
    check_all(theirs, (other,), option)
    ours = Stack(directory / f"ours{permissions}", (_lower(),), PLAIN, UpperOptions(override=form))
    act_here(ours, (*acts, go_on, go_on_further))
    check_all(ours, (other,))


def go_on(tree: Tree) -> None:
    tree.change("new", mode=0o604)
    tree.change("d", mode=0o700)
    tree.create("d/after")
    tree.rename("g/a", "nd2/a")


def go_on_further(tree: Tree) -> None:
    tree.change("d/after", mode=0o664)
    tree.change("nd2/a", mode=0o705)
    tree.mkdir("nd2/d")


def test_everyone_shows_an_upper_with_markers_as_it_was_left(tmp_path: Path) -> None:
    check_turns(tmp_path, KERNEL)
    check_prefixed(tmp_path, FUSE)


def test_everyone_does_so_in_a_user_namespace() -> None:
    with user_namespace(subordinate=1000) as somebody:
        somebody.do(lambda: check_turns(Path.cwd(), KERNEL_IN_NAMESPACE))
        somebody.do(lambda: check_prefixed(Path.cwd(), FUSE))


def test_fuse_overlayfs_does_so_for_an_ordinary_user() -> None:
    with ordinary_user() as somebody:
        somebody.do(lambda: check_prefixed(Path.cwd(), USERS_FUSE))


@pytest.mark.parametrize(("permissions", "form"), [(1, OverrideForm.SECURITY), (2, OverrideForm.USER)])
def test_fuse_overlayfs_and_this_program_read_each_others_records(
    tmp_path: Path, permissions: int, form: OverrideForm
) -> None:
    check_records(tmp_path, permissions, form, FUSE, make, open_and_close, give_away)


def test_they_do_in_a_user_namespace() -> None:
    with user_namespace(subordinate=1000) as somebody:
        somebody.do(lambda: check_records(Path.cwd(), 2, OverrideForm.USER, FUSE, make, open_and_close))


def test_they_do_for_an_ordinary_user() -> None:
    with ordinary_user() as somebody:
        somebody.do(lambda: check_records(Path.cwd(), 2, OverrideForm.USER, USERS_FUSE, make))
