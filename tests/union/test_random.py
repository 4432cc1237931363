"""Random operations on a union and on a plain directory that starts with the same tree: both end alike.

In between the kernel forgets what it knows, and the stack is closed and opened again. Open files without a name are
read and written too. Each sequence is named by its seed, so that a failure can be run again.
"""

import ctypes
import errno
import os
import random
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.posix.syscalls import renameat2
from tests.stacks import OPAQUE, WHITEOUT, Directory, File, HardLink, Layer, Symlink, merged, write
from tests.unions import EVERYTHING, Kernel, Stack
from unionfs.layer.open_upper import UpperOptions
from unionfs.linux import rename as calls
from unionfs.linux.rename import RENAME_EXCHANGE, RENAME_NOREPLACE

LOWERS: list[Layer] = [
    {
        "a/f": File(b"top a/f"),
        "a/b": Directory(),
        "a/w": WHITEOUT,
        "c": OPAQUE,
        "c/f": File(b"top c/f"),
        "g": File(b"g"),
    },
    {"a/w/x": File(), "a/b/deep/f": File(b"deep"), "c/hidden": File(), "l": File(b"linked"), "a/l": HardLink("l")},
    {"a/f": File(b"low"), "a/b/deep/g": File(b"low g"), "d/e/f": File(b"e"), "s": Symlink("g"), "d/l": File(b"other")},
]
COMPONENTS = ["a", "b", "c", "d", "e", "f", "g", "l", "s", "w", "deep", "new"]
STEPS = 120


class Reference:
    """The plain directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def tree(self) -> dict[str, tuple[object, ...]]:
        found: dict[str, tuple[object, ...]] = {}
        for above, directories, files in os.walk(self.root):
            for name in (*directories, *files):
                path = Path(above) / name
                shown = path.lstat()
                content = b""
                if stat.S_ISLNK(shown.st_mode):
                    content = os.fsencode(path.readlink())
                elif stat.S_ISREG(shown.st_mode):
                    content = path.read_bytes()
                links = 0 if stat.S_ISDIR(shown.st_mode) else shown.st_nlink
                found[str(path.relative_to(self.root))] = (shown.st_mode, links, shown.st_uid, content)
        return found


@dataclass
class Actor:
    """Does one random operation after another on both; ``held`` are the open files: number and descriptor."""

    rng: random.Random
    reference: Reference
    kernel: Kernel
    log: list[str]
    held: list[tuple[int, int]] = field(default_factory=list)

    def path(self) -> str:
        """Choose a path, of something that is there more often than not, and never through a symbolic link."""
        while True:
            path = self._some_path()
            if not any((self.reference.root / above).is_symlink() for above in Path(path).parents):
                return path

    def _some_path(self) -> str:
        found = list(self.reference.tree())
        if found and self.rng.random() < 0.7:
            path = self.rng.choice(found)
            return path if self.rng.random() < 0.8 else f"{path}/{self.rng.choice(COMPONENTS)}"
        return "/".join(self.rng.choice(COMPONENTS) for _ in range(self.rng.randrange(1, 4)))

    def step(self) -> None:
        act = self.rng.choice(ACTS)
        arguments, on_union, on_reference = act(self)
        self.log.append(f"{act.__name__} {arguments}")
        done = outcome(on_union)
        if done == errno.EXDEV or (done == errno.EINVAL and arguments[-1:] == (RENAME_EXCHANGE,)):
            # A directory of the layers beneath, where redirects aren't written; an exchange where there is none.
            return
        wanted = outcome(on_reference)
        if isinstance(done, int) and isinstance(wanted, int) and act in {rename, rename_within}:
            # The kernel checks much before it asks, in an order of its own.
            return
        assert done == wanted, self.log

    def let_go(self) -> None:
        """Close the open files."""
        while self.held:
            os.close(self.held.pop()[1])

    def check(self) -> None:
        assert shown(self.kernel) == dict(sorted(self.reference.tree().items())), self.log


def outcome(act: Callable[[], object]) -> object:
    try:
        result = act()
    except OSError as error:
        return error.errno
    return result if isinstance(result, bytes) else None


def shown(kernel: Kernel) -> dict[str, tuple[object, ...]]:
    return {
        path: (found.mode, found.links, kernel.stat(path).uid, found.content) for path, found in kernel.tree().items()
    }


Act = tuple[tuple[object, ...], Callable[[], object], Callable[[], object]]


def create(actor: Actor) -> Act:
    path, mode = actor.path(), actor.rng.choice([0o644, 0o600, 0o4755])

    def on_union() -> None:
        actor.kernel.create(path, stat.S_IFREG | mode)

    def on_reference() -> None:
        os.close(os.open(actor.reference.root / path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))

    return (path, oct(mode)), on_union, on_reference


def make_directory(actor: Actor) -> Act:
    path = actor.path()

    def on_union() -> None:
        actor.kernel.mkdir(path, 0o751)

    return (path,), on_union, lambda: os.mkdir(actor.reference.root / path, 0o751)


def make_symlink(actor: Actor) -> Act:
    path = actor.path()

    def on_union() -> None:
        actor.kernel.create(path, stat.S_IFLNK | 0o777, target=b"to")

    return (path,), on_union, lambda: os.symlink("to", actor.reference.root / path)


def regular(actor: Actor, path: str) -> int:
    shown = actor.kernel.stat(path)
    if shown.is_directory:
        raise IsADirectoryError(errno.EISDIR, path)
    if not shown.is_regular:
        raise OSError(errno.ELOOP, path)
    return shown.ino


def write_some(actor: Actor) -> Act:
    path, offset = actor.path(), actor.rng.randrange(10)
    content = b"%d" % actor.rng.randrange(1000)

    def on_reference() -> None:
        fd = os.open(actor.reference.root / path, os.O_WRONLY | os.O_NOFOLLOW)
        os.pwrite(fd, content, offset)
        os.close(fd)

    return (
        (path, offset, content),
        lambda: actor.kernel.write_number(regular(actor, path), content, offset),
        on_reference,
    )


def truncate(actor: Actor) -> Act:
    path, size = actor.path(), actor.rng.randrange(12)

    def on_reference() -> None:
        fd = os.open(actor.reference.root / path, os.O_WRONLY | os.O_NOFOLLOW)
        os.ftruncate(fd, size)
        os.close(fd)

    return (path, size), lambda: actor.kernel.change_number(regular(actor, path), size=size), on_reference


def change_owner(actor: Actor) -> Act:
    path, uid = actor.path(), actor.rng.randrange(5)

    def on_union() -> None:
        shown = actor.kernel.stat(path)
        # The kernel asks a file system that doesn't say otherwise to clear set-id bits in the same request.
        actor.kernel.change_number(shown.ino, uid=uid)

    return (path, uid), on_union, lambda: os.lchown(actor.reference.root / path, uid, -1)


def change_mode(actor: Actor) -> Act:
    path, mode = actor.path(), actor.rng.choice([0o640, 0o755, 0o2711])

    def on_union() -> None:
        shown = actor.kernel.stat(path)
        if stat.S_ISLNK(shown.mode):
            raise OSError(errno.ELOOP, path)
        actor.kernel.change_number(shown.ino, mode=mode)

    def on_reference() -> None:
        fd = os.open(actor.reference.root / path, os.O_RDONLY | os.O_NOFOLLOW)
        os.fchmod(fd, mode)
        os.close(fd)

    return (path, oct(mode)), on_union, on_reference


def link(actor: Actor) -> Act:
    path, new = actor.path(), actor.path()

    def on_union() -> None:
        number = actor.kernel.number(path)
        if actor.kernel.lookup(new) is not None:
            raise FileExistsError(errno.EEXIST, new)
        actor.kernel.link_number(number, new)

    return (
        (path, new),
        on_union,
        lambda: os.link(actor.reference.root / path, actor.reference.root / new, follow_symlinks=False),
    )


def unlink(actor: Actor) -> Act:
    path = actor.path()

    def on_union() -> None:
        actor.kernel.unlink(path)

    return (path,), on_union, lambda: os.unlink(actor.reference.root / path)


def remove_directory(actor: Actor) -> Act:
    path = actor.path()

    def on_union() -> None:
        actor.kernel.rmdir(path)

    return (path,), on_union, lambda: os.rmdir(actor.reference.root / path)


def rename(actor: Actor) -> Act:
    path, new = actor.path(), actor.path()
    flags = actor.rng.choice([0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE])

    def on_union() -> None:
        actor.kernel.rename(path, new, flags)

    return (
        (path, new, flags),
        on_union,
        lambda: renameat2(actor.reference.root / path, actor.reference.root / new, flags),
    )


def rename_within(actor: Actor) -> Act:
    """Rename to a name beside the old one, which succeeds more often."""
    path = actor.path()
    new = f"{path.rpartition('/')[0]}/{actor.rng.choice(COMPONENTS)}".lstrip("/")

    def on_union() -> None:
        actor.kernel.rename(path, new)

    return (path, new), on_union, lambda: os.rename(actor.reference.root / path, actor.reference.root / new)


def open_file(actor: Actor) -> Act:
    """Keep a file open, whatever becomes of its names."""
    path = actor.path()
    found: list[int] = []

    def on_reference() -> None:
        actor.held.append((*found, os.open(actor.reference.root / path, os.O_RDWR | os.O_NOFOLLOW)))  # type: ignore[arg-type]

    return (path,), lambda: found.append(regular(actor, path)), on_reference


def use_open_file(actor: Actor) -> Act:
    if not actor.held:
        return open_file(actor)
    number, fd = actor.rng.choice(actor.held)
    content = b"<%d>" % actor.rng.randrange(100)

    def on_union() -> bytes:
        actor.kernel.write_number(number, content, 2)
        found = actor.kernel.union.getattr(number)
        return b"%d %d " % (found.nlink, found.size) + actor.kernel.read_number(number)

    def on_reference() -> bytes:
        os.pwrite(fd, content, 2)
        found = os.fstat(fd)
        return b"%d %d " % (found.st_nlink, found.st_size) + os.pread(fd, 1000, 0)

    return (number, content), on_union, on_reference


ACTS: list[Callable[[Actor], Act]] = [
    create, make_directory, make_symlink, write_some, truncate, change_owner, change_mode, link, unlink, unlink,
    remove_directory, rename, rename, rename_within, rename_within, open_file, use_open_file, use_open_file,
]  # fmt: skip

FORMS = {
    "everything": (UpperOptions(), EVERYTHING),
    "plain": (UpperOptions(), EVERYTHING._replace(redirect=False, metacopy=False)),
    "prefix": (UpperOptions(prefix_whiteouts=True), EVERYTHING),
    "user": (UpperOptions(user_namespace=True), EVERYTHING._replace(open_files=16)),
    "no flags of rename": (UpperOptions(), EVERYTHING),
}


PLAIN = calls._renameat2


def without_flags(source_fd: int, source: bytes, target_fd: int, target: bytes, flags: int) -> int:
    """Rename as NFS does, and a file system in user space that knows no flags."""
    if flags:
        ctypes.set_errno(errno.EINVAL)
        return -1
    return int(PLAIN(source_fd, source, target_fd, target, flags))


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("form", FORMS)
def test_both_end_alike(memory: Path, monkeypatch: pytest.MonkeyPatch, form: str, seed: int) -> None:
    options, settings = FORMS[form]
    if form == "no flags of rename":
        monkeypatch.setattr(calls, "_renameat2", without_flags)
    stack = Stack(memory / "stack", LOWERS, settings, options)
    reference = Reference(memory / "plain")
    write(reference.root, merged(list(reversed(LOWERS))))
    rng = random.Random(f"{form} {seed}")
    log: list[str] = []
    for _ in range(3):
        with stack.opened() as kernel:
            actor = Actor(rng, reference, kernel, log)
            try:
                use(actor)
            finally:
                actor.let_go()
            forget(actor)
            assert stack.staged() == [], log
        log.append("again")


def use(actor: Actor) -> None:
    actor.check()
    for _ in range(STEPS // 3):
        actor.step()
        if actor.rng.random() < 0.1:
            actor.check()
        if actor.rng.random() < 0.1:
            forget(actor)
    actor.check()


def forget(actor: Actor) -> None:
    """Let the kernel forget all but the files that are open."""
    actor.log.append("forget")
    held = {number for number, _ in actor.held}
    numbers = [number for number in actor.kernel.references if number not in held]
    for number in actor.rng.sample(numbers, len(numbers)):
        actor.kernel.forget(number)
