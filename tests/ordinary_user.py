"""This program run by somebody who isn't root: an ordinary user, or root of a user namespace that such a user made.

The interpreter and the checkout may lie where only root can read. So everything is imported first, and then the
process becomes that user, who needs to read no file of theirs any more.
"""

import ctypes
import importlib
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.posix.processes import NOBODY, as_user, in_child

ROOT = Path(__file__).resolve().parents[1]
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_REC, MS_PRIVATE, MS_BIND = 0x4000, 0x40000, 0x1000
FIRST_SUBORDINATE = 100000
PR_SET_DUMPABLE = 4
PATIENCE = 20.0
PROGRAM = "from tests.ordinary_user import become_and_run; become_and_run()"
_LIBC = ctypes.CDLL(None, use_errno=True)
Result = TypeVar("Result")


def become_and_run() -> None:
    """Become the user (or enter the namespace of a process) of the first argument, and run the command in the rest."""
    import unionfs  # noqa: PLC0415 - in the process that becomes somebody else, all of it is loaded

    for module in pkgutil.walk_packages(unionfs.__path__, "unionfs."):
        importlib.import_module(module.name)
    from unionfs.cli import main  # noqa: PLC0415 - likewise

    become_somebody(sys.argv[1])
    sys.exit(main(sys.argv[2:]))


def become_somebody(who: str) -> None:
    """Become ``user:UID``, in this process; or with ``user:UID:HOLDER`` among the mounts that the process HOLDER sees.

    ``root:HOLDER`` is the root of HOLDER's user namespace.
    """
    kind, *numbers = who.split(":")
    here = os.getcwd()
    if kind == "root":
        enter(int(numbers[0]), "user", "mnt")
    elif len(numbers) > 1:
        enter(int(numbers[1]), "mnt")
    os.chdir(here)  # entering other mounts leads to their root
    become(0 if kind == "root" else int(numbers[0]))


def become(uid: int) -> None:
    """Become the user in this process, without any other group."""
    if Path("/proc/self/setgroups").read_text() == "allow\n":
        os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # A process that was root isn't dumpable, and then owns nothing of its own under /proc.
    _check(_LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))


def enter(holder: int, *kinds: str) -> None:
    """Enter the namespaces of *holder*."""
    for kind in kinds:
        fd = os.open(f"/proc/{holder}/ns/{kind}", os.O_RDONLY)
        _check(_LIBC.setns(fd, 0))
        os.close(fd)


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@dataclass
class Somebody:
    """Who runs the program, as ``become_somebody`` takes it, and their own directory.

    The directory holds ``low``, ``upper``, ``work`` and the mountpoint ``merged``. ``holder`` is a process that sees
    the same mounts.
    """

    who: str
    directory: Path
    holder: int | None = None
    transport: str = "auto"
    """As ``--transport`` calls it."""
    mounts: "list[Daemon]" = field(default_factory=list)

    def do(self, function: Callable[[], Result], *, who: str = "") -> Result:
        """Call the function as this user, or as *who*, in a child, and give what it gives. Raises what it raises."""

        def become_and_do() -> Result:
            become_somebody(who or self.who)
            os.chdir(self.directory)
            os.umask(0o022)
            return function()

        return in_child(become_and_do)

    def command(self, *words: str) -> Sequence[str]:
        """Give the command that runs the program as this user."""
        return [sys.executable, "-c", PROGRAM, self.who, *words]

    def unionfs(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run the program to its end, in the directory."""
        return subprocess.run(
            self.command(*words), cwd=self.directory, env=_environment(), capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip

    def mount(self, options: str = "lowerdir=low,upperdir=upper,workdir=work") -> "Daemon":
        """Mount on ``merged``, and wait until that is done. Raises AssertionError with what the program said."""
        log = self.directory / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.command("mount", "-f", "--transport", self.transport, "-o", options, "merged"),
                cwd=self.directory, env=_environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        daemon = Daemon(self, process, log)
        self.mounts.append(daemon)
        _wait_for(lambda: self.sees_mount() or process.poll() is not None)
        assert process.poll() is None, daemon.said
        return daemon

    def sees_mount(self) -> bool:
        """Tell whether something is mounted on ``merged`` in this user's eyes."""
        table = Path(f"/proc/{self.holder or 'self'}/mountinfo").read_text()
        return f" {self.directory / 'merged'} " in table


@dataclass
class Daemon:
    """A mount that is served in the foreground."""

    owner: Somebody
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def said(self) -> str:
        """What the program wrote so far."""
        return self.log.read_text()

    def unmount(self) -> None:
        """End the mount as its user does, and wait for the daemon."""
        result = self.owner.unionfs("umount", "merged")
        assert result.returncode == 0, result.stderr
        assert self.process.wait(PATIENCE) == 0, self.said
        self.owner.mounts.remove(self)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def ordinary_user(*, fuse_conf: str | None = None) -> Iterator[Somebody]:
    """Give an ordinary user with a directory, and take away at the end what they mounted and left.

    With *fuse_conf* that is the content of ``/etc/fuse.conf``, for this user alone.
    """
    with _device_for_everyone(), _directory() as directory:
        if fuse_conf is None:
            yield from _ending(Somebody(f"user:{NOBODY}", directory))
            return
        conf = directory / "fuse.conf"
        conf.write_text(fuse_conf)
        with _holder(lambda: _see_other_files({"/etc/fuse.conf": conf})) as holder:
            yield from _ending(Somebody(f"user:{NOBODY}:{holder}", directory, holder))


@contextmanager
def user_namespace(*, subordinate: int = 0) -> Iterator[Somebody]:
    """Give root of a new user namespace with mounts of its own, which an ordinary user made.

    Its id 0 is that user; with *subordinate* ids, so many more follow it, granted by newuidmap and newgidmap.
    """
    with _device_for_everyone(), _directory() as directory, _holder(_make_namespaces) as holder:
        if subordinate:
            _grant(holder, subordinate, directory)
        else:
            _map_oneself(holder)
        yield from _ending(Somebody(f"root:{holder}", directory, holder))


def _ending(somebody: Somebody) -> Iterator[Somebody]:
    try:
        yield somebody
    finally:
        _end_mounts(somebody)


def _end_mounts(somebody: Somebody) -> None:
    """End what a test that failed left mounted; mounts of a namespace end with it."""
    for daemon in list(somebody.mounts):
        daemon.process.kill()
        daemon.process.wait()
    if somebody.holder is None and somebody.sees_mount():
        subprocess.run(["umount", "-l", somebody.directory / "merged"], check=True)


@contextmanager
def _directory() -> Iterator[Path]:
    directory = Path(os.path.realpath(tempfile.mkdtemp(prefix="unionfs-user-")))
    try:
        for path in (directory, *(directory / name for name in ("low", "upper", "work", "merged"))):
            path.mkdir(exist_ok=True)
            os.chown(path, NOBODY, NOBODY)
            path.chmod(0o755)
        yield directory
    finally:
        shutil.rmtree(directory)


@contextmanager
def _device_for_everyone() -> Iterator[None]:
    """Give ``/dev/fuse`` the mode that udev gives it, where there is no udev."""
    mode = os.stat("/dev/fuse").st_mode & 0o7777
    os.chmod("/dev/fuse", 0o666)
    try:
        yield
    finally:
        os.chmod("/dev/fuse", mode)


@contextmanager
def _holder(prepare: Callable[[], None]) -> Iterator[int]:
    """Have a process that prepares itself and then waits, for as long as the block lasts; give its id."""
    reading, writing = os.pipe()
    holder = os.fork()
    if holder == 0:
        try:
            prepare()
            os.write(writing, b"!")
            signal.pause()
        finally:
            os._exit(1)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            assert pipe.read(1) == b"!", "namespaces can't be made here"
        yield holder
    finally:
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)


def _make_namespaces() -> None:
    become(NOBODY)
    _check(_LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNS))


def _see_other_files(files: Mapping[str, Path]) -> None:
    """Let this process, and those that enter its mount namespace, see other files in the places of some."""
    _check(_LIBC.unshare(CLONE_NEWNS))
    _check(_LIBC.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None))
    for place, file in files.items():
        _check(_LIBC.mount(os.fsencode(file), place.encode(), None, ctypes.c_ulong(MS_BIND), None))


def _map_oneself(holder: int) -> None:
    """Map id 0 to the user alone, as ``unshare --map-root-user`` does."""

    def write() -> None:
        Path(f"/proc/{holder}/setgroups").write_text("deny")
        for kind in ("uid", "gid"):
            Path(f"/proc/{holder}/{kind}_map").write_text(f"0 {NOBODY} 1")

    as_user(write)


def _grant(holder: int, count: int, directory: Path) -> None:
    """Have newuidmap and newgidmap map the user and *count* subordinate ids, which a file of our own grants."""
    granted = directory / "subordinate"
    granted.write_text(f"{NOBODY}:{FIRST_SUBORDINATE}:{count}\n")
    ids = ["0", str(NOBODY), "1", "1", str(FIRST_SUBORDINATE), str(count)]

    def map_ids() -> None:
        _see_other_files({"/etc/subuid": granted, "/etc/subgid": granted})
        become(NOBODY)
        for kind in ("uid", "gid"):
            subprocess.run([f"new{kind}map", str(holder), *ids], check=True)

    in_child(map_ids)
    granted.unlink()
