"""The last steps of the process that becomes the command: who it is, what it may, where it is, and its exec."""

import contextlib
import errno
import os
import signal
import stat
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from unionfs.linux import resolve
from unionfs.linux.process import keep_capabilities, limit_capabilities
from unionfs.shell.error import EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, ShellError, as_text
from unionfs.shell.setup import DEFAULT_PATH, Process
from unionfs.shell.terminal import take
from unionfs.shell.users import Identity, identify

# Docker's, without which few images work and with which none reaches beyond its root.
CAPABILITIES = (
    "chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "net_bind_service", "net_raw",
    "sys_chroot", "mknod", "audit_write", "setfcap",
)  # fmt: skip
_LARGEST_FILE = 1 << 20
_NOT_FOUND = (errno.ENOENT, errno.ENOTDIR)
# Python ignores them, and what it starts would inherit that.
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class Becoming(NamedTuple):
    """What becomes of a process whose root is that of the image."""

    process: Process
    signal_mask: tuple[int, ...]
    terminal: int | None
    """Without one it has no terminal that controls it."""
    may_set_groups: bool
    """Not in a user namespace with one id, where there is no other group."""

    def run(self) -> NoReturn:
        """Become the command.

        Raises:
            ShellError: the user, the directory or the program isn't there. OSError: the kernel refused a step.
        """
        who = identify(self.process.user, read_file)
        self._take_terminal(who)
        _enter(self.process.directory)
        self._become_user(who)
        for number in _IGNORED_BY_PYTHON:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.signal_mask)
        execute(self.process.arguments, {"HOME": who.home, **self.process.environment})

    def _take_terminal(self, who: Identity) -> None:
        if self.terminal is None:
            os.setsid()
            return
        take(self.terminal)
        with contextlib.suppress(OSError):  # a user who isn't there; the next step says so
            os.fchown(self.terminal, who.uid, -1)

    def _become_user(self, who: Identity) -> None:
        limit_capabilities(CAPABILITIES)
        try:
            if self.may_set_groups:
                os.setgroups(who.groups)
            os.setresgid(who.gid, who.gid, who.gid)
            os.setresuid(who.uid, who.uid, who.uid)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise ShellError(
                f"the user {who.uid}:{who.gid} doesn't exist in this user namespace: "
                "ranges in /etc/subuid and /etc/subgid, and newuidmap, would give it more ids"
            ) from None
        keep_capabilities(CAPABILITIES)


def read_file(path: str) -> bytes:
    """Read a small regular file of the root; one that isn't there is empty.

    Raises:
        ShellError: it is of another kind, or larger than 1 MiB. OSError: it can't be read.
    """
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    # Without waiting for somebody at the other end of a FIFO.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
    try:
        within = resolve.RESOLVE_IN_ROOT | resolve.RESOLVE_NO_MAGICLINKS
        fd = resolve.openat2(root, os.fsencode(path.lstrip("/")), flags, resolve=within)
    except OSError as error:
        if error.errno in _NOT_FOUND:
            return b""
        raise ShellError(f"{path} of the image: {as_text(error)}") from None
    finally:
        os.close(root)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise ShellError(f"{path} of the image isn't a regular file")
    with os.fdopen(fd, "rb") as file:
        content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise ShellError(f"{path} of the image is larger than 1 MiB")
    return content


def _enter(directory: str) -> None:
    try:
        os.makedirs(directory, 0o755, exist_ok=True)
        os.chdir(directory)
    except OSError as error:
        raise ShellError(f"the working directory {directory}: {error.strerror}") from None


def execute(arguments: tuple[str, ...], environment: Mapping[str, str]) -> NoReturn:
    """Execute the program that the first word names, by the PATH of *environment* as execvp(3) does.

    Raises:
        ShellError: there is none, or it can't be executed, with the exit code for either.
    """
    name = arguments[0]
    places = [name] if "/" in name else _places(name, environment.get("PATH", DEFAULT_PATH))
    found: OSError | None = None
    for path in places:
        try:
            os.execve(path, arguments, environment)  # noqa: S606 - to start a program without a shell is the point
        except OSError as error:
            if error.errno not in _NOT_FOUND:
                found = found or error
    if found is not None:
        raise ShellError(f"{name}: {found.strerror}", EXIT_NOT_EXECUTABLE)
    where = "no such file" if "/" in name else "not found in PATH"
    raise ShellError(f"{name or repr(name)}: {where}", EXIT_NOT_FOUND)


def _places(name: str, search_path: str) -> list[str]:
    return [os.path.join(directory or ".", name) for directory in search_path.split(":")] if name else []
