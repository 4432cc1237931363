"""Operations as values, and what each gives: a result that can be compared, or the name of an errno.

An operation names its paths, never inodes or descriptors, so that it can be done in any tree.
"""

import errno
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tests.posix.processes import NOBODY, effectively_nobody
from tests.posix.syscalls import (
    FALLOC_KEEP_SIZE,
    FALLOC_PUNCH_HOLE,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    fallocate,
    link_following,
    renameat2,
)

HANDLES = 2
"""How many files an actor holds open at most."""


@dataclass(frozen=True)
class Operation:
    """One step; what ``path``, ``other`` and ``number`` mean is the kind's affair."""

    kind: str
    path: str
    other: str = "a"
    number: int = 0
    as_nobody: bool = False


@dataclass
class Actor:
    """Who does the operations in one tree, with the files it holds open."""

    root: Path
    handles: dict[int, int] = field(default_factory=dict)

    def do(self, operation: Operation) -> object:
        """Carry the operation out and return its outcome."""
        try:
            with effectively_nobody() if operation.as_nobody else nullcontext():
                return ALL_KINDS[operation.kind].run(self, operation)
        except OSError as error:
            if operation.kind == "rename" and error.errno == errno.ENOTEMPTY:
                # With RENAME_WHITEOUT, ext4 changes the directory's time though the rename fails.
                os.utime((self.root / operation.path).parent, ns=_times(operation))
            return errno.errorcode[error.errno] if error.errno else repr(error)

    def close(self) -> None:
        """Close every file held open."""
        while self.handles:
            os.close(self.handles.popitem()[1])

    def handle(self, operation: Operation) -> int:
        """Return the open file that the operation's number names, or the only one."""
        if not self.handles:
            raise OSError(errno.EBADF, "nothing is open")
        return self.handles.get(operation.number % HANDLES) or next(iter(self.handles.values()))


def _content(operation: Operation) -> bytes:
    return b"%s:%d;" % (os.fsencode(operation.other), operation.number) * (1 + operation.number % 7 * 300)


def _open(actor: Actor, operation: Operation, flags: int) -> int:
    # Without O_NONBLOCK a fifo would wait for its other end.
    return os.open(actor.root / operation.path, flags | os.O_NONBLOCK, MODES[operation.number % len(MODES)] & 0o777)


def _write(actor: Actor, operation: Operation, flags: int, offset: int) -> object:
    descriptor = _open(actor, operation, flags)
    try:
        return os.pwrite(descriptor, _content(operation), offset)
    finally:
        os.close(descriptor)


def _truncate_on_open(actor: Actor, operation: Operation) -> None:
    os.close(_open(actor, operation, os.O_RDONLY | os.O_TRUNC))


def _remove_tree(path: Path) -> None:
    """Remove in the order of names, so that the first failure is the same everywhere."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    for name in _names(path):
        _remove_tree(path / name)
    path.rmdir()


def _read(actor: Actor, operation: Operation) -> object:
    descriptor = _open(actor, operation, os.O_RDONLY)
    try:
        return os.read(descriptor, 1 << 20)
    finally:
        os.close(descriptor)


def _names(directory: Path) -> list[str]:
    # Overlayfs lists the whiteouts of a directory that lies in one layer alone, and then doesn't find them.
    return sorted(name for name in os.listdir(directory) if os.path.lexists(directory / name))


def shown(found: os.stat_result) -> tuple[int, ...]:
    """Return what stat(2) says that two file systems must agree on."""
    if stat.S_ISDIR(found.st_mode):
        return found.st_mode, found.st_uid, found.st_gid
    return found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_nlink, found.st_rdev


def _times(operation: Operation) -> tuple[int, int]:
    return operation.number * 1_000_000_007, operation.number * 1_000_000_009


def _xattr(operation: Operation) -> str:
    return XATTRS[operation.number % len(XATTRS)]


def _set_xattr(actor: Actor, operation: Operation) -> None:
    os.setxattr(actor.root / operation.path, _xattr(operation), _content(operation)[:9], follow_symlinks=False)


def _hold(actor: Actor, operation: Operation) -> None:
    descriptor = _open(actor, operation, os.O_RDWR)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        # Opening a fifo copies nothing up, and overlayfs can't do it once the name is gone.
        os.close(descriptor)
        raise OSError(errno.ESPIPE, "only regular files are held")
    previous = actor.handles.pop(operation.number % HANDLES, None)
    if previous is not None:
        os.close(previous)
    actor.handles[operation.number % HANDLES] = descriptor


def _let_go(actor: Actor, operation: Operation) -> None:
    descriptor = actor.handle(operation)
    os.close(descriptor)
    actor.handles = {slot: other for slot, other in actor.handles.items() if other != descriptor}


def _allocate(actor: Actor, operation: Operation, mode: int) -> None:
    descriptor = _open(actor, operation, os.O_RDWR)
    try:
        fallocate(descriptor, mode, operation.number * 300, 5000)
    finally:
        os.close(descriptor)


def _copy_range(actor: Actor, operation: Operation) -> int:
    source = _open(actor, operation, os.O_RDONLY)
    try:
        target = os.open(actor.root / operation.other, os.O_RDWR | os.O_NONBLOCK)
        try:
            return os.copy_file_range(source, target, 1000, operation.number * 20, operation.number * 30)
        finally:
            os.close(target)
    finally:
        os.close(source)


def _make_nameless(actor: Actor, operation: Operation) -> None:
    """Make a file without a name beside the path, and give it the other."""
    directory = (actor.root / operation.path).parent
    descriptor = os.open(directory, os.O_TMPFILE | os.O_RDWR, MODES[operation.number % len(MODES)] & 0o777)
    try:
        os.write(descriptor, _content(operation))
        link_following(Path(f"/proc/self/fd/{descriptor}"), actor.root / operation.other)
    finally:
        os.close(descriptor)


def _data_and_hole(actor: Actor, operation: Operation) -> tuple[int, int]:
    descriptor = _open(actor, operation, os.O_RDONLY)
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EISDIR, "the kernel seeks in directories by itself, as in FUSE")
        data = os.lseek(descriptor, 0, os.SEEK_DATA)
        return data, os.lseek(descriptor, data, os.SEEK_HOLE)
    finally:
        os.close(descriptor)


MODES = (0o644, 0o600, 0o755, 0o777, 0o4755, 0o2755, 0o1777, 0o000)
XATTRS = ("user.a", "user.b", "trusted.c", "trusted.overlay.d")


@dataclass(frozen=True)
class Kind:
    """What an operation does, and what it is mostly aimed at."""

    run: Callable[[Actor, Operation], object]
    aim: str
    """``file``, ``directory``, ``any``: of what is there; ``new``: a free name; ``held``: an open file."""
    weight: int = 2


KINDS: Mapping[str, Kind] = {
    "create": Kind(lambda a, o: _write(a, o, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0), "new"),
    "create or write": Kind(lambda a, o: _write(a, o, os.O_CREAT | os.O_RDWR, 0), "any"),
    "write": Kind(lambda a, o: _write(a, o, os.O_WRONLY, o.number * 100), "file"),
    "append": Kind(lambda a, o: _write(a, o, os.O_WRONLY | os.O_APPEND, 0), "file"),
    "replace": Kind(lambda a, o: _write(a, o, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0), "file"),
    "truncate": Kind(lambda a, o: os.truncate(a.root / o.path, o.number * 50), "file"),
    "truncate on open": Kind(_truncate_on_open, "file", 1),
    "read": Kind(_read, "file"),
    "list": Kind(lambda a, o: _names(a.root / o.path), "directory"),
    "stat": Kind(lambda a, o: shown(os.stat(a.root / o.path)), "any", 1),
    "lstat": Kind(lambda a, o: shown(os.lstat(a.root / o.path)), "any", 1),
    "readlink": Kind(lambda a, o: os.readlink(a.root / o.path), "any", 1),
    "mkdir": Kind(lambda a, o: os.mkdir(a.root / o.path, MODES[o.number % len(MODES)] & 0o1777), "new", 4),
    "rmdir": Kind(lambda a, o: os.rmdir(a.root / o.path), "directory", 3),
    "unlink": Kind(lambda a, o: os.unlink(a.root / o.path), "file", 4),
    "remove tree": Kind(lambda a, o: _remove_tree(a.root / o.path), "directory"),
    "rename": Kind(lambda a, o: os.rename(a.root / o.path, a.root / o.other), "any", 8),
    "rename to a free name": Kind(lambda a, o: renameat2(a.root / o.path, a.root / o.other, RENAME_NOREPLACE), "any"),
    "exchange": Kind(lambda a, o: renameat2(a.root / o.path, a.root / o.other, RENAME_EXCHANGE), "any", 3),
    "link": Kind(lambda a, o: os.link(a.root / o.path, a.root / o.other, follow_symlinks=False), "file", 4),
    "symlink": Kind(lambda a, o: os.symlink(o.other, a.root / o.path), "new"),
    "chmod": Kind(lambda a, o: os.chmod(a.root / o.path, MODES[o.number % len(MODES)]), "any"),
    "chown": Kind(lambda a, o: os.chown(a.root / o.path, o.number, NOBODY, follow_symlinks=False), "any"),
    "utimes": Kind(lambda a, o: os.utime(a.root / o.path, ns=_times(o), follow_symlinks=False), "any"),
    "setxattr": Kind(_set_xattr, "any"),
    "removexattr": Kind(lambda a, o: os.removexattr(a.root / o.path, _xattr(o), follow_symlinks=False), "any"),
    "getxattr": Kind(lambda a, o: os.getxattr(a.root / o.path, _xattr(o), follow_symlinks=False), "any", 1),
    "listxattr": Kind(lambda a, o: sorted(os.listxattr(a.root / o.path, follow_symlinks=False)), "any", 1),
    "mkfifo": Kind(lambda a, o: os.mkfifo(a.root / o.path, MODES[o.number % len(MODES)] & 0o777), "new", 1),
    "mknod": Kind(lambda a, o: os.mknod(a.root / o.path, stat.S_IFCHR, os.makedev(0, o.number % 3)), "new", 1),
    "hold": Kind(_hold, "file", 4),
    "let go": Kind(_let_go, "held", 1),
    "write held": Kind(lambda a, o: os.pwrite(a.handle(o), _content(o), o.number), "held"),
    "read held": Kind(lambda a, o: os.pread(a.handle(o), 1 << 20, 0), "held"),
    "stat held": Kind(lambda a, o: shown(os.fstat(a.handle(o))), "held"),
    "chmod held": Kind(lambda a, o: os.fchmod(a.handle(o), MODES[o.number % len(MODES)]), "held"),
    "truncate held": Kind(lambda a, o: os.ftruncate(a.handle(o), o.number * 10), "held"),
    "setxattr held": Kind(lambda a, o: os.setxattr(a.handle(o), _xattr(o), b"held"), "held"),
    "sync held": Kind(lambda a, o: os.fsync(a.handle(o)), "held", 1),
}

MORE_KINDS: Mapping[str, Kind] = {
    "allocate": Kind(lambda a, o: _allocate(a, o, 0), "file"),
    "punch": Kind(lambda a, o: _allocate(a, o, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE), "file"),
    "copy range": Kind(_copy_range, "file", 4),
    "make nameless": Kind(_make_nameless, "any"),
}
"""What pyfuse3 doesn't do."""
EXACT_KINDS: Mapping[str, Kind] = {"find data and hole": Kind(_data_and_hole, "file")}
"""What is answered exactly only where the kernel holds no writes back; otherwise all is data, as lseek(2) allows."""
ALL_KINDS = {**KINDS, **MORE_KINDS, **EXACT_KINDS}
