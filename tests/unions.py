"""A union opened in this process, without a mount, and what stands in for the kernel before it.

``Stack`` is the directories, ``Kernel`` the other side: it walks paths, counts its references as the kernel counts
them, and can stop an operation at each blocking step.
"""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.stacks import Layer, write
from unionfs.layer.abilities import WhiteoutForm
from unionfs.layer.attributes import Attributes
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.lower import open_lower
from unionfs.layer.open_upper import OpenedUpper, UpperOptions, open_upper
from unionfs.union.inode import AnyInode
from unionfs.union.step import Aside, Gate, Last, Operation, run
from unionfs.union.table import ROOT
from unionfs.union.union import Caller, Change, Settings, Union

NOBODY = 65534
EVERYTHING = Settings(redirect=True, metacopy=True, volatile=True)
"""As ``unionfs mount`` has it where ``trusted.overlay.*`` can be written, but unsynced: no test here cuts the power."""


class Shown(NamedTuple):
    """What a name shows that is the same in every session."""

    ino: int
    mode: int
    links: int
    content: bytes


@dataclass
class Stack:
    """Layers on disk, topmost lower first, and an upper with its workdir."""

    directory: Path
    lowers: Sequence[Layer] = ()
    settings: Settings = field(default_factory=Settings)
    options: UpperOptions = field(default_factory=UpperOptions)
    writable: bool = True
    owners: bool = True
    """Whether owners can be set and devices be made; otherwise both are recorded, as for an ordinary user."""
    whiteouts: WhiteoutForm | None = None
    """The form of all whiteouts, in the place of the one that the options lead to."""
    descriptors: int = 64

    def __post_init__(self) -> None:
        self.directory.mkdir(exist_ok=True)
        for place, layer in enumerate(self.lowers):
            write(self.lower(place), layer)
        for path in (self.upper, self.work):
            path.mkdir()

    def lower(self, place: int = 0) -> Path:
        return self.directory / f"lower{place}"

    @property
    def upper(self) -> Path:
        return self.directory / "upper"

    @property
    def work(self) -> Path:
        return self.directory / "work"

    def staged(self) -> list[str]:
        """Name what lies in the workdir besides the index and the marks."""
        return sorted(set(os.listdir(self.work / "work")) - {"unionfs-index", "incompat"})

    def indexed(self) -> list[str]:
        """Name what lies in the index of hard links."""
        return sorted(os.listdir(self.work / "work/unionfs-index"))

    @contextmanager
    def opened(self) -> Iterator["Kernel"]:
        """Open the stack as a mount does, and close it again."""
        umask = os.umask(0)
        descriptors = Descriptors(self.descriptors)
        opened: OpenedUpper | None = None
        if self.writable:
            opened = open_upper(os.fsencode(self.upper), os.fsencode(self.work), descriptors, self.options)
            abilities = opened.upper.abilities
            if not self.owners:
                abilities = abilities._replace(owners=False, devices=False)
            opened.upper.use(abilities._replace(whiteouts=self.whiteouts or abilities.whiteouts))
        lowers = [open_lower(os.fsencode(self.lower(n)), n, descriptors) for n in range(len(self.lowers))]
        union = Union(opened.upper if opened else None, lowers, self.settings)
        try:
            yield Kernel(union)
        finally:
            union.close()
            if opened is not None:
                opened.close()
            for root in lowers:
                root.close()
            os.umask(umask)


class Kernel:
    """Asks by path, as the kernel does after its own lookups, and keeps count of its references to inodes."""

    def __init__(self, union: Union) -> None:
        self.union = union
        self.references: dict[int, int] = {}
        self.root_caller = Caller(0, 0)
        self.other_caller = Caller(NOBODY, NOBODY)

    def node(self, path: str) -> AnyInode:
        """Give the union's inode behind *path*."""
        return self.union.nodes.get(self.number(path))

    # Finding.

    def _remember(self, shown: Attributes) -> Attributes:
        self.references[shown.ino] = self.references.get(shown.ino, 0) + 1
        return shown

    def lookup(self, path: str) -> Attributes | None:
        """Look each component of *path* up, and give what the last shows."""
        if path == ".":
            return self.union.getattr(ROOT)
        number, shown = ROOT, None
        for component in path.split("/"):
            shown = self.union.lookup(number, os.fsencode(component))
            if shown is None:
                return None
            number = self._remember(shown).ino
        return shown

    def number(self, path: str) -> int:
        """Give the inode number of *path*. Raises FileNotFoundError."""
        shown = self.lookup(path)
        if shown is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return shown.ino

    def place(self, path: str) -> tuple[int, bytes]:
        """Look the directory of *path* up, and the name in it, as the kernel does before it changes a name."""
        above, _, name = path.rpartition("/")
        parent = self.number(above) if above else ROOT
        self.lookup(path)
        return parent, os.fsencode(name)

    def stat(self, path: str) -> Attributes:
        return self.union.getattr(self.number(path))

    def forget(self, number: int) -> None:
        """Drop all references to the inode *number*."""
        self.union.forget(number, self.references.pop(number))

    def forget_everything(self, order: Callable[[list[int]], Sequence[int]] = list) -> None:
        """Drop all references, inode by inode in the *order* given."""
        for number in order(list(self.references)):
            self.forget(number)

    # Listing.

    def names(self, path: str = ".", cookie: int = 2) -> list[str]:
        """List the names of a directory, in order."""
        return [os.fsdecode(listed.name) for listed in self.union.entries(self.number_of(path), cookie)]

    def number_of(self, path: str) -> int:
        return ROOT if path == "." else self.number(path)

    def tree(self) -> dict[str, Shown]:
        """Read everything that shows, without keeping references."""
        found: dict[str, Shown] = {}
        pending = [("", ROOT)]
        while pending:
            above, directory = pending.pop()
            for name in [listed.name for listed in self.union.entries(directory, 2)]:
                shown = self.union.lookup(directory, name)
                assert shown is not None, f"{name!r} is listed but isn't there"
                self._remember(shown)
                path = f"{above}/{os.fsdecode(name)}" if above else os.fsdecode(name)
                links = 0 if shown.is_directory else shown.nlink
                found[path] = Shown(shown.ino, shown.mode, links, self._content(shown))
                if shown.is_directory:
                    pending.append((path, shown.ino))
        return dict(sorted(found.items()))

    def _content(self, shown: Attributes) -> bytes:
        if shown.is_regular:
            return run(self.union.read(shown.ino, 0, shown.size))
        return self.union.readlink(shown.ino) if shown.mode >> 12 == 0o12 else b""

    # Content.

    def read(self, path: str) -> bytes:
        return self.read_number(self.number(path))

    def read_number(self, number: int) -> bytes:
        return run(self.union.read(number, 0, self.union.getattr(number).size))

    def write(self, path: str, content: bytes, offset: int = 0) -> None:
        self.write_number(self.number(path), content, offset)

    def write_number(self, number: int, content: bytes, offset: int = 0) -> None:
        assert run(self.union.write(number, offset, content, keep_set_id=True)) == len(content)

    # Changes.

    def change(self, path: str, **values: int) -> Attributes:
        return self.change_number(self.number(path), **values)

    def change_number(self, number: int, **values: int) -> Attributes:
        return run(self.union.setattr(number, Change(**values), keep_set_id=True))

    def set_xattr(self, path: str, name: bytes, value: bytes) -> None:
        run(self.union.setxattr(self.number(path), name, value, 0))

    def xattrs(self, path: str) -> dict[bytes, bytes]:
        number = self.number_of(path)
        return {name: self.union.getxattr(number, name) for name in self.union.listxattr(number, lambda: True)}

    def create(self, path: str, mode: int = 0o100644, *, caller: Caller | None = None, **more: Any) -> Attributes:
        return self._remember(self.union.create(*self.place(path), mode, caller or self.root_caller, **more))

    def mkdir(self, path: str, permissions: int = 0o755) -> Attributes:
        return self.create(path, 0o040000 | permissions)

    def link(self, path: str, new: str) -> Attributes:
        return self.link_number(self.number(path), new)

    def link_number(self, number: int, new: str) -> Attributes:
        return self._remember(run(self.union.link(number, *self.place(new))))

    def link_number_at(self, number: int, parent: int, name: bytes) -> Attributes:
        return self._remember(run(self.union.link(number, parent, name)))

    def rename_at(self, parent: int, name: bytes, new_parent: int, new_name: bytes) -> None:
        run(self.union.rename(parent, name, new_parent, new_name, 0))

    def unlink(self, path: str) -> None:
        run(self.union.unlink(*self.place(path)))

    def rmdir(self, path: str) -> None:
        self.union.rmdir(*self.place(path))

    def rename(self, path: str, new: str, flags: int = 0) -> None:
        run(self.union.rename(*self.place(path), *self.place(new), flags))


class UnderWay:
    """An operation that goes on only when told, one blocking step at a time."""

    def __init__(self, operation: Operation[Any]) -> None:
        self._operation = operation
        self._step: Any = None
        self._opened = True
        self.done = False
        self.result: Any = None
        self._go_on(lambda: next(operation))

    def waits(self) -> bool:
        """Whether it waits for another operation."""
        return not self.done and isinstance(self._step, Gate) and not self._opened

    def resume(self) -> None:
        """Do the step at which it stopped, and go on to the next."""
        assert not self.done
        assert not self.waits(), "the operation waits for another one"
        if isinstance(self._step, Gate):
            self._go_on(lambda: next(self._operation))
            return
        step = self._step
        try:
            result = step.step() if isinstance(step, Last) else step()
        except OSError as error:
            failure = error
            self._go_on(lambda: self._operation.throw(failure))
        else:
            self._go_on(lambda: self._operation.send(result))

    def fail(self, error: OSError) -> None:
        """Let the step at which it stopped fail."""
        self._go_on(lambda: self._operation.throw(error))

    def give_up(self) -> None:
        """End it where it is, as a transport does that is shut down."""
        self._operation.close()
        self.done = True

    def finish(self) -> Any:
        """Go on to the end."""
        while not self.done:
            self.resume()
        return self.result

    def _go_on(self, advance: Callable[[], Any]) -> None:
        try:
            self._step = advance()
            while isinstance(self._step, Aside):
                self._step.learn(self._step.step())
                self._step = next(self._operation)
        except StopIteration as stop:
            self.done, self.result = True, stop.value
            return
        except OSError:
            self.done = True
            raise
        if isinstance(self._step, Gate):
            self._opened = False
            self._step.wait(self._open)

    def _open(self) -> None:
        self._opened = True


def open_descriptors() -> set[str]:
    """Name what this process has open."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number} -> {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:
            continue
    return found
