"""A union without a mount, used at random by every kind of operation."""

import contextlib
import errno
import os
import random
from collections.abc import Callable, Iterator

from tests.safety.daemons import Room
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.lower import open_lower
from unionfs.layer.open_upper import UpperOptions, open_upper
from unionfs.union.step import run
from unionfs.union.table import ROOT
from unionfs.union.union import Caller, Change, Settings, Union


class RandomCaller:
    """Operations on a union by *path*, a new one for each, looked up anew; what was read is kept."""

    def __init__(self, union: Union, path: Callable[[], str], uid: int, rng: random.Random) -> None:
        self.union = union
        self.uid = uid
        self.rng = rng
        self._path = path
        self.read_content: set[bytes] = set()

    def _parent(self) -> tuple[int, bytes]:
        *above, name = self._path().split("/")
        number = ROOT
        for component in above:
            found = self.union.lookup(number, component.encode())
            if found is None:
                raise FileNotFoundError(errno.ENOENT, "no such directory", component)
            number = found.ino
        return number, name.encode()

    def _number(self) -> int:
        parent, name = self._parent()
        found = self.union.lookup(parent, name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", name)
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
        uid = self.uid
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
        self.union.create(*self._parent(), kind, Caller(self.uid, self.uid), target=b"f1")

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
        self.union.create(*place, 0o40755, Caller(self.uid, self.uid))
        self.union.rmdir(*place)

    def sync(self) -> None:
        """Have a file and its directory on the device."""
        run(self.union.fsync(self._number(), content_only=False))


ACTIONS = (
    RandomCaller.list, RandomCaller.read, RandomCaller.write, RandomCaller.change, RandomCaller.set_xattr,
    RandomCaller.remove_xattr, RandomCaller.create, RandomCaller.link, RandomCaller.rename, RandomCaller.unlink,
    RandomCaller.rmdir, RandomCaller.sync,
)  # fmt: skip


@contextlib.contextmanager
def opened(room: Room) -> Iterator[Union]:
    """Open the layers of *room* as a mount does, with few descriptors."""
    descriptors = Descriptors(32)
    opened = open_upper(os.fsencode(room.upper), os.fsencode(room.work), descriptors, UpperOptions())
    lower = open_lower(os.fsencode(room.lower), 0, descriptors)
    union = Union(opened.upper, [lower], Settings(redirect=True, metacopy=True, volatile=True))
    try:
        yield union
    finally:
        union.close()
        opened.close()
        lower.close()
