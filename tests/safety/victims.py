"""A directory that must not change, and a process that swaps directories and files of a layer for links to it."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.snapshots import Snapshot, differences, snapshot
from tests.stacks import Directory, File, Layer, write
from unionfs.linux.libc import AT_FDCWD
from unionfs.linux.rename import RENAME_EXCHANGE, renameat2

SECRET = b"the secret of the victim"
NAMES = ("f0", "f1", "f2", "f3")
VICTIM: Layer = {
    ".": Directory(mode=0o755),
    **{name: File(SECRET, mode=0o400, xattrs={"user.kept": b"yes"}) for name in NAMES},
    "sub": Directory(mode=0o755),
    **{f"sub/{name}": File(SECRET, mode=0o400) for name in NAMES},
}


class Victim:
    """The directory, and what it was."""

    def __init__(self, path: Path) -> None:
        self.path = path
        write(path, VICTIM)
        self._before: Snapshot = {}

    def remember(self) -> None:
        """Note what it is like now, after it was given to whom it belongs to."""
        self._before = snapshot(self.path)

    def check(self) -> None:
        """Raise AssertionError where anything in it has changed."""
        changes = differences(self._before, snapshot(self.path))
        assert not changes, "; ".join(changes)


def put_link(path: Path, target: Path) -> tuple[Path, Path]:
    """Put a link to *target* beside *path*, where *path* may come to be; give the two to be swapped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    link = path.with_name(f"{path.name}.link")
    link.symlink_to(target)
    return path, link


@contextmanager
def swapping(pairs: Sequence[tuple[Path, Path]], uid: int) -> Iterator[None]:
    """Exchange each pair again and again, as user *uid*, for as long as the block lasts; then it is as it was."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setresuid(uid, uid, uid)
            _swap_until_told(pairs)
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


def _swap_until_told(pairs: Sequence[tuple[Path, Path]]) -> None:
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    while not told:
        for path, link in pairs:
            if _exchange(path, link):
                _exchange(path, link)


def _exchange(path: Path, link: Path) -> bool:
    try:
        renameat2(AT_FDCWD, os.fsencode(path), AT_FDCWD, os.fsencode(link), RENAME_EXCHANGE)
    except OSError:
        return False  # it isn't there, or not any more
    return True
