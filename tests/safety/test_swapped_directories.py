"""Another process swaps directories and files of the layers for symbolic links while the union uses them.

Source: openat2(2), whose RESOLVE flags are for such races. What the links lead to is never read or changed.
"""

import contextlib
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.posix.processes import as_user, in_child
from tests.safety.daemons import Room, fuse_for_every_user
from tests.safety.victims import NAMES, SECRET, Victim, put_link, swapping
from tests.stacks import Directory, File, write
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.lower import open_lower
from unionfs.layer.open_upper import UpperOptions, open_upper
from unionfs.linux.libc import LIBC, check
from unionfs.union.step import run
from unionfs.union.table import ROOT
from unionfs.union.union import Caller, Change, Settings, Union

NOBODY = 65534
CLONE_NEWUSER = 0x10000000
TIMES = 30 if os.environ.get("UNIONFS_SOAK") == "1" else 1
LOW = b"low" * 10


class Scene:
    """A room with a victim beside it, and the pairs to swap: directories and files of the lower and of the upper."""

    def __init__(self, room: Room, uid: int, directories: int) -> None:
        self.room = room
        self.uid = uid
        self.names = tuple(f"d{number}" for number in range(directories))
        self.victim = Victim(room.directory / "victim")
        paths = [f"{name}/{path}" for name in self.names for path in (*NAMES, *(f"sub/{name}" for name in NAMES))]
        write(room.lower, {path: File(LOW, xattrs={"user.key": b"v"}) for path in paths})
        write(room.upper, {f"{name}/sub": Directory() for name in self.names})
        self.pairs = [
            put_link(layer / name / inside, self.victim.path / inside)
            for layer in (room.lower, room.upper)
            for name in self.names[:4]
            for inside in (".", "sub", "f0", "sub/f0")
        ]
        room.give_to(uid)
        self.victim.remember()

    def path(self, rng: random.Random) -> str:
        """Give the path of one of the files, whether it is there or not."""
        return f"{rng.choice(self.names)}/{rng.choice(('', 'sub/'))}{rng.choice((*NAMES, 'new'))}"


@pytest.fixture(params=[0, NOBODY], ids=["root", "user"])
def scene(room: Room, request: pytest.FixtureRequest) -> Scene:
    return Scene(room, request.param, directories=4)


class _Caller:
    """Operations on a union by path, each looked up anew; what was read is kept."""

    def __init__(self, union: Union, scene: Scene, rng: random.Random) -> None:
        self.union = union
        self.rng = rng
        self.scene = scene
        self.read_content: set[bytes] = set()

    def _parent(self) -> tuple[int, bytes]:
        *above, name = self.scene.path(self.rng).split("/")
        number = ROOT
        for component in above:
            found = self.union.lookup(number, component.encode())
            if found is None:
                raise FileNotFoundError(component)
            number = found.ino
        return number, name.encode()

    def _number(self) -> int:
        parent, name = self._parent()
        found = self.union.lookup(parent, name)
        if found is None:
            raise FileNotFoundError(name)
        return found.ino

    def list(self) -> None:
        """List a directory."""
        parent, _ = self._parent()
        list(self.union.entries(parent, 0))

    def read(self) -> None:
        """Read a file and its attributes."""
        number = self._number()
        self.read_content.add(run(self.union.read(number, 0, 100)))
        for name in self.union.listxattr(number, lambda: True):
            self.read_content.add(self.union.getxattr(number, name))

    def write(self) -> None:
        """Write into a file."""
        run(self.union.write(self._number(), 0, b"new", keep_set_id=self.rng.random() < 0.5))

    def change(self) -> None:
        """Change size, permissions, owner or times."""
        uid = self.scene.uid
        change = self.rng.choice(
            (Change(size=3), Change(mode=0o4711), Change(uid=uid, gid=uid), Change(atime_ns=1, mtime_ns=2))
        )
        run(self.union.setattr(self._number(), change, keep_set_id=True))

    def set_xattr(self) -> None:
        """Set an attribute."""
        run(self.union.setxattr(self._number(), b"user.new", b"1", 0))

    def remove_xattr(self) -> None:
        """Remove an attribute."""
        run(self.union.removexattr(self._number(), b"user.key"))

    def create(self) -> None:
        """Make an entry."""
        kind = self.rng.choice((0o100644, 0o40755, 0o120777, 0o10644))
        self.union.create(*self._parent(), kind, Caller(self.scene.uid, self.scene.uid), target=b"f1")

    def link(self) -> None:
        """Give a file a further name."""
        run(self.union.link(self._number(), *self._parent()))

    def rename(self) -> None:
        """Rename or exchange."""
        run(self.union.rename(*self._parent(), *self._parent(), self.rng.choice((0, 2))))

    def unlink(self) -> None:
        """Remove a file."""
        run(self.union.unlink(*self._parent()))

    def rmdir(self) -> None:
        """Make a directory and remove it."""
        place = self._parent()
        self.union.create(*place, 0o40755, Caller(self.scene.uid, self.scene.uid))
        self.union.rmdir(*place)

    def sync(self) -> None:
        """Have a file and its directory on the device."""
        run(self.union.fsync(self._number(), content_only=False))


ACTIONS = (
    _Caller.list, _Caller.read, _Caller.write, _Caller.change, _Caller.set_xattr, _Caller.remove_xattr,
    _Caller.create, _Caller.link, _Caller.rename, _Caller.unlink, _Caller.rmdir, _Caller.sync,
)  # fmt: skip


@contextlib.contextmanager
def _opened(room: Room) -> Iterator[Union]:
    descriptors = Descriptors(32)
    opened = open_upper(os.fsencode(room.upper), os.fsencode(room.work), descriptors, UpperOptions())
    lower = open_lower(os.fsencode(room.lower), 0, descriptors)
    union = Union(opened.upper, [lower], Settings(redirect=True, metacopy=True, volatile=True))
    try:
        yield union
    finally:
        union.close()
        opened.close()
        for root in (opened.upper.root, opened.upper.workdir._root, lower):
            os.close(root.root_fd)


def _use(scene: Scene, seed: int) -> tuple[Mapping[str, int], set[bytes]]:
    """Use the union at random; give how many actions of each kind succeeded, and what was read."""
    rng = random.Random(seed)
    done: Counter[str] = Counter()
    read: set[bytes] = set()
    for _ in range(60 * TIMES):
        with _opened(scene.room) as union:
            caller = _Caller(union, scene, rng)
            for action in rng.choices(ACTIONS, k=40):
                with contextlib.suppress(OSError):
                    action(caller)
                    done[action.__name__] += 1
            read |= caller.read_content
    return done, read


def test_a_union_never_leaves_its_layers(scene: Scene) -> None:
    with swapping(scene.pairs, scene.uid):
        done, read = as_user(lambda: _use(scene, seed=1), scene.uid, scene.uid)
    scene.victim.check()
    assert SECRET not in read
    assert LOW in read
    missing = {action.__name__ for action in ACTIONS} - set(done)
    assert not missing, f"never succeeded, so that nothing was tried: {missing}"


def _use_mount(scene: Scene, seed: int) -> tuple[int, set[bytes]]:
    """Use the mount as a root directory, so that a link that it shows leads the caller to nothing outside."""
    os.setgroups([])
    os.setresgid(scene.uid, scene.uid, scene.uid)
    os.setresuid(scene.uid, scene.uid, scene.uid)
    # In a user namespace of its own a user without rights may call chroot(2).
    check(LIBC.unshare(CLONE_NEWUSER))
    os.chroot(scene.room.mount)
    os.chdir("/")
    rng = random.Random(seed)
    root = Path("/")
    read: set[bytes] = set()
    done = 0

    def look(path: Path) -> None:
        read.add(path.read_bytes())

    def move(path: Path) -> None:
        path.rename(root / scene.path(rng))

    actions: tuple[Callable[[Path], object], ...] = (
        look, look, move, os.lstat, os.listxattr, Path.unlink,
        lambda path: path.write_bytes(b"new"),
        lambda path: path.chmod(0o640),
        lambda path: os.setxattr(path, "user.new", b"1"),
        lambda path: os.utime(path, ns=(1, 2)),
        lambda path: os.link(root / scene.path(rng), path),
        lambda path: os.listdir(path.parent),
    )  # fmt: skip
    for _ in range(1000 * TIMES):
        with contextlib.suppress(OSError):
            rng.choice(actions)(root / scene.path(rng))
            done += 1
    return done, read


@pytest.mark.parametrize("uid", [0, NOBODY], ids=["root", "user"])
def test_a_mount_never_leaves_its_layers(room: Room, uid: int) -> None:
    """With more directories than the daemon, which may open few files, keeps open."""
    scene = Scene(room, uid, directories=40)
    with fuse_for_every_user(), swapping(scene.pairs, uid):
        daemon = room.start(uid=uid, within=("prlimit", "--nofile=160:160"))
        done, read = in_child(lambda: _use_mount(scene, seed=1))
        said = daemon.end()
    scene.victim.check()
    assert SECRET not in read
    assert done > 10
    assert "Traceback" not in said
