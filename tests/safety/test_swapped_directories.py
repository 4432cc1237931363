"""Another process swaps directories and files of the layers for symbolic links while the union uses them.

Source: openat2(2), whose RESOLVE flags are for such races. What the links lead to is never read or changed.
"""

import contextlib
import os
import random
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.posix.processes import as_user, in_child
from tests.safety.callers import ACTIONS, RandomCaller, opened
from tests.safety.daemons import Room, fuse_for_every_user
from tests.safety.victims import NAMES, SECRET, Victim, put_link, swapping
from tests.stacks import Directory, File, write
from unionfs.linux.libc import LIBC, check

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


def _use(scene: Scene, seed: int) -> tuple[Mapping[str, int], set[bytes]]:
    """Use the union at random; give how many actions of each kind succeeded, and what was read."""
    rng = random.Random(seed)
    done: Counter[str] = Counter()
    read: set[bytes] = set()
    for _ in range(60 * TIMES):
        with opened(scene.room) as union:
            caller = RandomCaller(union, lambda: scene.path(rng), scene.uid, rng)
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
