"""Layers and workdir that change beneath a union: what shows is undefined, but nothing breaks.

Source: overlayfs, "Changes to underlying filesystems": undefined, but no crash or deadlock.
"""

import contextlib
import errno
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.safety.callers import ACTIONS, RandomCaller, opened
from tests.safety.daemons import Room
from tests.stacks import File, write

SEEDS = range(300 if os.environ.get("UNIONFS_SOAK") == "1" else 6)
EXPECTED = {
    errno.ENOENT, errno.ESTALE, errno.EIO, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.ENODATA,
    errno.EINVAL, errno.EXDEV, errno.EPERM, errno.ELOOP,
}  # fmt: skip
DIRECTORIES = ("a", "b", "a/c")
NAMES = ("f", "g", "h")


def _replaced_by_directory(path: Path) -> None:
    _removed(path)
    path.mkdir()


def _replaced_by_link(path: Path) -> None:
    _removed(path)
    path.symlink_to("f")


def _replaced_by_fifo(path: Path) -> None:
    _removed(path)
    os.mkfifo(path)


def _replaced_by_file(path: Path) -> None:
    _removed(path)
    path.write_bytes(b"changed beneath")


def _removed(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _truncated(path: Path) -> None:
    if path.is_file():
        os.truncate(path, 1)


def _moved(path: Path) -> None:
    path.rename(path.with_name("moved"))


def _marked_opaque(path: Path) -> None:
    os.setxattr(path, "trusted.overlay.opaque", b"y")


def _sent_elsewhere(path: Path) -> None:
    os.setxattr(path, "trusted.overlay.redirect", b"/b")


CHANGES: tuple[Callable[[Path], None], ...] = (
    _replaced_by_directory, _replaced_by_link, _replaced_by_fifo, _replaced_by_file, _removed, _truncated, _moved,
    _marked_opaque, _sent_elsewhere,
)  # fmt: skip


def _change(rng: random.Random, room: Room) -> None:
    """Change something of the lower, of the upper, or of what lies staged."""
    layer = rng.choice((room.lower, room.upper, room.upper, room.work / "work"))
    found = [path for path in layer.rglob("*") if path.name != "unionfs-index"]
    if found:
        try:
            rng.choice(CHANGES)(rng.choice(found))
        except OSError:
            return  # gone already, or not of a kind that can be changed so


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_changes_beneath_an_operation_fails_with_an_errno_of_its_own(room: Room, seed: int) -> None:
    rng = random.Random(seed)
    failed: Counter[int] = Counter()
    done: Counter[str] = Counter()
    for layer in (room.lower, room.upper):
        write(
            layer,
            {
                f"{directory}/{name}": File(b"content", xattrs={"user.key": b"v"})
                for directory in DIRECTORIES
                for name in NAMES
            },
        )
    with opened(room) as union:
        caller = RandomCaller(union, lambda: f"{rng.choice(DIRECTORIES)}/{rng.choice((*NAMES, 'new'))}", 0, rng)
        for _ in range(400):
            if rng.random() < 0.1:
                _change(rng, room)
            action = rng.choice(ACTIONS)
            try:
                action(caller)
            except OSError as error:
                failed[error.errno or 0] += 1
            else:
                done[action.__name__] += 1
    assert failed.keys() <= EXPECTED
    assert done


def test_a_mount_outlives_its_layers(room: Room) -> None:
    write(room.lower, {f"d/{name}": File(b"content") for name in NAMES})
    daemon = room.start()
    assert len(os.listdir(room.mount / "d")) == len(NAMES)
    assert (room.mount / "d/f").read_bytes() == b"content"
    (room.mount / "d/g").write_bytes(b"upper")
    with (room.mount / "d/h").open("rb") as held:
        for layer in (room.lower, room.upper, room.work / "work"):
            for path in layer.iterdir():
                _removed(path)
        for name in NAMES:
            with pytest.raises(OSError, match=r"No such file|Stale|Input/output|directory"):
                (room.mount / "d" / name).chmod(0o600)
            with pytest.raises(OSError, match=r"No such file|Stale|Input/output|directory"):
                (room.mount / "d" / f"new-{name}").touch()
        held.seek(0)
        with contextlib.suppress(FileNotFoundError):  # where an open file isn't the daemon's to keep open
            assert held.read() in (b"content", b"")
    (room.mount / "new").write_bytes(b"new")
    assert (room.mount / "new").read_bytes() == b"new"
    said = daemon.end()
    assert "Traceback" not in said
