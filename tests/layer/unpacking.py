"""Unpacks archives built by hand into a stack of layers, as root or as an ordinary user, and shows it merged.

What a stack shows is asked of the kernel's overlayfs, which nobody here wrote.
"""

import ctypes
import io
import os
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from tests.mounts import mount, unmount_or_detach
from tests.posix.processes import NOBODY, as_user, in_child
from unionfs.layer.abilities import Abilities
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import Directory, Tree
from unionfs.layer.unpack import LayerError, Staging, probe, put_on, settle, unpack
from unionfs.tar import Limits
from unionfs.tar.source import Stream

DEFAULT = Limits()
FIRST_MAPPED = 100000
CLONE_NEWUSER = 0x10000000
Result = TypeVar("Result")


@dataclass(frozen=True)
class Stack:
    """Layers on disk, the lowest first."""

    roots: tuple[Path, ...]
    warnings: tuple[str, ...] = ()

    @property
    def top(self) -> Path:
        return self.roots[-1]


class Runner(Protocol):
    """Calls a function as some user and returns what it returns."""

    def __call__(self, function: Callable[[], Result], /) -> Result: ...


@dataclass
class Unpacker:
    """Unpacks as one user; ``options`` are what overlayfs needs to read what that user could write."""

    name: str
    directory: Path
    run: Runner
    options: str = ""
    count: int = field(default=0, init=False)

    def unpack(self, *archives: bytes, limits: Limits = DEFAULT) -> Stack:
        """Unpack archives as layers on each other, the lowest first."""
        self.count += 1
        where = self.directory / str(self.count)
        return self.run(lambda: unpack_stack(where, *archives, limits=limits))

    def refusal(self, *archives: bytes, limits: Limits = DEFAULT) -> str:
        """Return the text of the error that the archives are refused with."""
        try:
            stack = self.unpack(*archives, limits=limits)
        except LayerError as error:
            return str(error)
        raise AssertionError(f"unpacked: {tree(stack.top)}")

    @contextmanager
    def merged(self, stack: Stack) -> Iterator[Path]:
        """Show the stack as one directory."""
        target, nothing = self.directory / "merged", self.directory / "nothing"
        target.mkdir(exist_ok=True)
        nothing.mkdir(exist_ok=True)
        lowers = ":".join(map(str, (*reversed(stack.roots), nothing)))
        mount("overlay", target, "overlay", 0, f"lowerdir={lowers}{self.options}")
        try:
            yield target
        finally:
            assert unmount_or_detach(target)

    def shown(self, *archives: bytes) -> Mapping[str, str]:
        """Unpack archives and return what they show together."""
        with self.merged(self.unpack(*archives)) as merged:
            return tree(merged)


def unpack_stack(
    where: Path,
    *archives: bytes,
    limits: Limits = DEFAULT,
    stream: Callable[[bytes], Stream] = io.BytesIO,
    lacking: Mapping[str, Any] = MappingProxyType({}),
) -> Stack:
    """Unpack archives into ``where``, first all of them, then settle them from the lowest up.

    ``lacking`` are abilities that the target is taken not to have, by the name of their field.
    """
    where.mkdir()
    abilities = _abilities(where)._replace(**lacking)
    staged = [where / str(number) for number in range(len(archives))]
    unsettled = []
    for directory, archive in zip(staged, archives, strict=True):
        directory.mkdir()
        with _staging(directory) as staging:
            unsettled.append(unpack(stream(archive), staging, abilities, limits))
    lowers: Sequence[Directory] = ()
    opened: list[int] = []
    descriptors = Descriptors(32)
    try:
        for directory, open_ends in zip(staged, unsettled, strict=True):
            with _staging(directory) as staging:
                settle(staging, open_ends, lowers, abilities, limits)
            opened.append(os.open(directory / "root", os.O_RDONLY | os.O_DIRECTORY))
            root = Directory(Tree(descriptors, 0, position=0, confined=False), None, b"", opened[-1])
            lowers = put_on(root, lowers)
    finally:
        descriptors.close()
        for fd in opened:
            os.close(fd)
    warnings = tuple(line for open_ends in unsettled for line in open_ends.warnings)
    return Stack(tuple(directory / "root" for directory in staged), warnings)


def _staging(directory: Path) -> Staging:
    return Staging(os.open(directory, os.O_RDONLY | os.O_DIRECTORY))


def _abilities(where: Path) -> Abilities:
    probed = where / "probe"
    probed.mkdir(exist_ok=True)
    fd = os.open(probed, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return probe(fd)
    finally:
        os.close(fd)


@contextmanager
def unpacker(name: str) -> Iterator[Unpacker]:
    """Give an unpacker that is ``root``, ``nobody``, or ``mapped``, root of a user namespace with 1000 ids.

    Its directory is gone at the end.
    """
    directory = Path(tempfile.mkdtemp(prefix="unionfs-unpack."))
    try:
        if name == "root":
            yield Unpacker(name, directory, lambda function: function())
        elif name == "nobody":
            os.chown(directory, NOBODY, NOBODY)
            yield Unpacker(name, directory, as_user, ",userxattr")
        else:
            os.chown(directory, FIRST_MAPPED, FIRST_MAPPED)
            yield Unpacker(name, directory, in_user_namespace, ",userxattr")
    finally:
        subprocess.run(["rm", "-rf", directory], check=True)  # any depth, which shutil can't


def in_user_namespace(function: Callable[[], Result]) -> Result:
    """Run the function in a child that is root of a user namespace with the ids 0 to 999."""

    def enter_and_run() -> Result:
        entered, entering = os.pipe()
        child = os.getpid()
        helper = os.fork()
        if helper == 0:
            os.read(entered, 1)
            for kind in ("uid", "gid"):
                Path(f"/proc/{child}/{kind}_map").write_text(f"0 {FIRST_MAPPED} 1000")
            os._exit(0)
        assert ctypes.CDLL(None).unshare(CLONE_NEWUSER) == 0
        os.write(entering, b"!")
        os.waitpid(helper, 0)
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        return function()

    return in_child(enter_and_run)


def tree(top: Path) -> Mapping[str, str]:
    """Describe everything below a directory, one word or two for each path."""
    return dict(_described(top, ""))


def _described(top: Path, below: str) -> Iterator[tuple[str, str]]:
    with os.scandir(top / below) as listing:
        names = sorted(entry.name for entry in listing)
    for name in names:
        path = f"{below}{name}"
        found = os.lstat(top / path)
        yield path, _description(top / path, found)
        if stat.S_ISDIR(found.st_mode):
            yield from _described(top, path + "/")


def _description(path: Path, found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return f"-> {os.readlink(path)}"
    if stat.S_ISREG(found.st_mode):
        return path.read_bytes().decode("latin-1") if found.st_size < 100 else f"{found.st_size} bytes"
    if stat.S_ISDIR(found.st_mode):
        return "dir"
    if stat.S_ISFIFO(found.st_mode):
        return "fifo"
    kind = "char" if stat.S_ISCHR(found.st_mode) else "block"
    return f"{kind} {os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
