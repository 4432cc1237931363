"""A small root of busybox, and running commands in it as root, as an ordinary user, and as one with more ids."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.ordinary_user import FIRST_SUBORDINATE, _see_other_files, become
from tests.posix.processes import NOBODY, in_child
from unionfs.mount.options import MountOptions
from unionfs.shell.error import ShellError
from unionfs.shell.run import needed_maps, run
from unionfs.shell.setup import DEFAULT_PATH, Process, Setup

BUSYBOX = "/usr/bin/busybox"
USERS = "root:x:0:0:root:/root:/bin/sh\nbob:x:5:6:Bob:/home/bob:/bin/sh\nnobody:x:99:99::/:\n"
GROUPS = "root:x:0:\nbob:x:6:\nwheel:x:10:carl,bob\nlast:x:11:bob\n"
SUBORDINATE = 70_000
MARK = "BOX"
"""The variable by which what runs in a box is known."""
SETUP = Setup(Process((), {}), "box")
WHO = ("root", "user", "user with more ids")


class Ran(NamedTuple):
    """What came of a command: its exit code, what it wrote, and what was told of it."""

    code: int
    output: str
    told: list[str]


class Box:
    """A layer with busybox, an upper, and who runs commands in them."""

    def __init__(self, directory: Path, who: str) -> None:
        self.directory = directory
        self.who = who
        self.layer, self.upper, self.work, self.output = (
            directory / name for name in ("layer", "upper", "work", "out")
        )
        for name in ("bin", "etc", "tmp", "root", "proc", "sys", "dev"):
            (self.layer / name).mkdir(parents=True)
        (self.layer / "tmp").chmod(0o1777)
        self.upper.mkdir()
        self.work.mkdir()
        shutil.copy(BUSYBOX, self.layer / "bin/busybox")
        for name in subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split():
            if name != "busybox":
                (self.layer / "bin" / name).symlink_to("busybox")
        (self.layer / "etc/passwd").write_text(USERS)
        (self.layer / "etc/group").write_text(GROUPS)

    @property
    def options(self) -> MountOptions:
        """Give how the root is mounted."""
        return MountOptions(
            lowers=(os.fsencode(self.layer),),
            upper=os.fsencode(self.upper),
            work=os.fsencode(self.work),
            suid=True,
            volatile=True,
            discards=True,
        )

    def give_to_user(self) -> None:
        """Let the directories belong to who runs commands."""
        if self.who != "root":
            subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", self.directory], check=True)

    def become(self) -> None:
        """Become who runs commands, in this process."""
        if self.who == "user with more ids":
            granted = self.directory / "subordinate"
            granted.write_text(f"{NOBODY}:{FIRST_SUBORDINATE}:{SUBORDINATE}\n")
            _see_other_files({"/etc/subuid": granted, "/etc/subgid": granted})
        if self.who != "root":
            become(NOBODY)

    def sh(self, script: str, *, user: str = "", setup: Setup = SETUP) -> Ran:
        """Run a script of busybox's shell."""
        return self.run(["sh", "-c", script], user=user, setup=setup)

    def run(
        self, words: Sequence[str], *, environment: Mapping[str, str] | None = None, directory: str = "/",
        user: str = "", setup: Setup = SETUP, stdin: bytes = b"", options: MountOptions | None = None,
    ) -> Ran:  # fmt: skip
        """Run a command; *setup* is what stands around it."""
        variables = {"PATH": DEFAULT_PATH, MARK: str(self.directory), **(environment or {})}
        whole = setup._replace(process=Process(tuple(words), variables, directory, user))
        self.give_to_user()

        def call() -> Ran:
            os.setsid()
            with (self.directory / "sessions").open("a") as sessions:
                sessions.write(f"{os.getpid()}\n")
            self._redirect(stdin)
            self.become()
            told: list[str] = []
            try:
                code = run(options or self.options, whole, needed_maps(), told.append)
            except ShellError as error:
                return Ran(error.code, "", [*told, str(error)])
            return Ran(code, "", told)

        return in_child(call)._replace(output=self.output.read_text(errors="surrogateescape"))

    def _redirect(self, stdin: bytes) -> None:
        source = self.directory / "in"
        source.write_bytes(stdin)
        for number, fd in (
            (0, os.open(source, os.O_RDONLY)),
            (1, os.open(self.output, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o666)),
        ):
            os.dup2(fd, number)
        os.dup2(1, 2)
        sys.stdin = sys.stdout = sys.stderr = None  # pytest's own, which fail in a child

    def changed(self) -> list[str]:
        """Give what the upper holds, as paths."""
        return sorted(str(path.relative_to(self.upper)) for path in self.upper.rglob("*"))


@contextmanager
def box(who: str) -> Iterator[Box]:
    """Give a box, and check at the end that nothing is mounted or left running."""
    directory = Path(os.path.realpath(tempfile.mkdtemp(prefix="unionfs-box-")))
    directory.chmod(0o755)
    try:
        yield Box(directory, who)
        table = Path("/proc/self/mountinfo").read_text()
        assert str(directory) not in table
        left = processes_of(directory)
        assert not left, [Path(f"/proc/{pid}/status").read_text() for pid in left]
    finally:
        shutil.rmtree(directory)


def processes_of(directory: Path) -> list[str]:
    """Give the processes of runs in *directory*: commands, by their environment, daemons, by what they have open."""
    sessions = {int(line) for path in directory.glob("sessions") for line in path.read_text().split()}
    processes = [path for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [process.name for process in processes if _belongs(process, directory, sessions)]


def _belongs(process: Path, directory: Path, sessions: set[int]) -> bool:
    try:
        if os.getsid(int(process.name)) in sessions:
            return True
        targets = [os.readlink(path) for path in (process / "fd").iterdir()]
        environment = (process / "environ").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    return any(target.startswith(str(directory)) for target in targets) or f"{MARK}={directory}" in environment
