"""The file systems that behaviours are tested on: a plain directory, kernel overlayfs, and this project.

Each turns a described stack into a directory under test. Whatever happens in the test, the mount is gone at
the end, its daemon has ended, and the lower layers are as they were. What is expected of them is said in
``tests.posix``.
"""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.mounts import (
    MS_BIND,
    MS_NODEV,
    MS_NOSUID,
    MS_RDONLY,
    MS_REMOUNT,
    is_mounted,
    mount,
    unmount_or_detach,
)
from tests.snapshots import Snapshot, differences, snapshot
from tests.stacks import Layer, merged, write

PATIENCE = 20.0
"""Seconds a daemon has to become ready or to end."""


class MountError(Exception):
    """A mount that was refused; the text is what the program said."""


class BusyError(MountError):
    """A mount that was refused because something still holds one of its directories."""


class Attachment(Protocol):
    """Something mounted."""

    def detach(self) -> None:
        """Unmount and wait until whatever served it has ended."""


class FileSystem(Protocol):
    """A way to show a stack of layers as one directory."""

    @property
    def name(self) -> str:
        """What the table and the test's id call it."""

    @property
    def families(self) -> tuple[str, ...]:
        """Names under which a table may speak of this file system, the narrowest first."""

    def attach(self, options: Sequence[str], mountpoint: Path, cwd: Path, environment: Mapping[str, str]) -> Attachment:
        """Mount; ``cwd`` is a scratch directory. Raises MountError with the reason given."""


@dataclass
class _KernelMount:
    mountpoint: Path

    def detach(self) -> None:
        if not unmount_or_detach(self.mountpoint):
            raise MountError(f"{self.mountpoint} had files open at its end")


@dataclass(frozen=True)
class PlainDirectory:
    """One directory; to mount it is to bind it onto itself, which lets it be read-only."""

    name: str = "plain"
    families: tuple[str, ...] = ("plain",)

    def attach(self, options: Sequence[str], mountpoint: Path, cwd: Path, environment: Mapping[str, str]) -> Attachment:
        del cwd, environment
        flags, _ = _flags(options)
        mount(str(mountpoint), mountpoint, "", MS_BIND)
        mount("", mountpoint, "", MS_REMOUNT | MS_BIND | flags)
        return _KernelMount(mountpoint)


@dataclass(frozen=True)
class KernelOverlay:
    """Kernel overlayfs with the features on that this project has too."""

    name: str = "kernel"
    families: tuple[str, ...] = ("kernel", "union")
    defaults: tuple[str, ...] = ("redirect_dir=on", "index=on", "metacopy=off", "xino=off")

    def attach(self, options: Sequence[str], mountpoint: Path, cwd: Path, environment: Mapping[str, str]) -> Attachment:
        del environment
        given = {option.partition("=")[0] for option in options}
        chosen = [option for option in self.defaults if option.partition("=")[0] not in given]
        if "upperdir" not in given:
            chosen.remove("index=on")
        flags, rest = _flags(options)
        try:
            with chdir(cwd):
                mount("overlay", mountpoint, "overlay", flags, ",".join([*chosen, *rest]))
        except OSError as error:
            raise (BusyError if error.errno == errno.EBUSY else MountError)(str(error)) from error
        return _KernelMount(mountpoint)


def _flags(options: Sequence[str]) -> tuple[int, list[str]]:
    """Part the options of any file system, which mount(2) takes as bits, from the others."""
    known = {"ro": MS_RDONLY, "nosuid": MS_NOSUID, "nodev": MS_NODEV}
    bits = [known[option] for option in options if option in known]
    return sum(bits), [option for option in options if option not in known]


@dataclass
class _Daemon:
    mountpoint: Path
    process: "subprocess.Popen[bytes]"
    log: Path

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_mounted(self.mountpoint):
            if self.process.poll() is not None:
                raise MountError(self.last_words())
            if time.monotonic() > deadline:
                self.process.kill()
                self.process.wait()
                raise MountError(f"not mounted within {PATIENCE} s; {self.last_words()}")
            time.sleep(0.002)

    def detach(self) -> None:
        was_idle = unmount_or_detach(self.mountpoint)
        ended_alone = self.end()
        said = self.last_words()
        if not was_idle:
            raise MountError(f"{self.mountpoint} had files open at its end; the daemon said: {said}")
        if not ended_alone:
            raise MountError(f"the daemon of {self.mountpoint} went on after the unmount; it said: {said}")
        if "Traceback" in said or self.process.returncode:
            raise MountError(f"the daemon ended with status {self.process.returncode} and said:\n{said}")

    def end(self) -> bool:
        """Wait for the daemon; one that doesn't end is killed, and False returned."""
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False
        return True

    def last_words(self) -> str:
        return os.fsdecode(self.log.read_bytes()).strip()


@dataclass(frozen=True)
class Union:
    """This project's mount over one of its transports, with the daemon in the foreground."""

    name: str
    transport: str
    """As ``--transport`` calls it."""
    arguments: tuple[str, ...] = ()
    """Further ones of the command line."""
    kin: tuple[str, ...] = ()
    """Further families that it belongs to."""
    defaults: tuple[str, ...] = ("suid", "dev")

    @property
    def families(self) -> tuple[str, ...]:
        """Its own name, its kin, ours, and any union."""
        return (self.name, *self.kin, "ours", "union")

    def attach(self, options: Sequence[str], mountpoint: Path, cwd: Path, environment: Mapping[str, str]) -> Attachment:
        joined = ",".join([*self.defaults, *options])
        program = str(Path(sys.executable).with_name("unionfs"))
        log = cwd / f"{mountpoint.name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, "mount", "-f", "--transport", self.transport, *self.arguments, "-o", joined, str(mountpoint)],
                cwd=cwd, env={**os.environ, **environment},
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        daemon = _Daemon(mountpoint, process, log)
        daemon.wait_until_ready()
        return daemon


PLAIN = PlainDirectory()
KERNEL = KernelOverlay()
TRANSPORTS: tuple[FileSystem, ...] = (
    Union("kernel-protocol", "kernel", kin=("write-through",)),
    Union("pyfuse3", "pyfuse3", kin=("write-through",)),
)
VARIANTS: tuple[FileSystem, ...] = (
    Union("writeback", "kernel", ("--writeback", "on"), kin=("kernel-protocol",)),
    Union("cached", "kernel", ("--io", "cached"), kin=("kernel-protocol", "write-through")),
    Union("passthrough", "kernel", ("--io", "passthrough"), kin=("kernel-protocol", "write-through")),
)
"""Other ways for content to go; what has nothing to do with content is as without them."""
_ALL: tuple[FileSystem, ...] = (PLAIN, KERNEL, *TRANSPORTS, *VARIANTS)
FILESYSTEMS: Mapping[str, FileSystem] = {system.name: system for system in _ALL}


@dataclass(kw_only=True)
class Mounted:
    """A stack on disk and the directory that shows it."""

    filesystem: FileSystem
    directory: Path
    root: Path
    lowers: tuple[Path, ...] = ()
    """Topmost first, as in ``lowerdir``."""
    upper: Path | None = None
    work: Path | None = None
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    attachment: Attachment | None = None

    def mount(self) -> None:
        """Attach the stack; a writable plain directory is there already."""
        options = [*self._layer_options(), *self.options]
        if not options:
            return
        deadline = time.monotonic() + PATIENCE
        while self.attachment is None:
            try:
                self.attachment = self.filesystem.attach(options, self.root, self.directory, self.environment)
            except BusyError:
                # Whoever made a mount namespace meanwhile has a copy of the mount that ended, and with it the upper.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def unmount(self) -> None:
        """Detach, if mounted, and wait for the daemon."""
        attachment, self.attachment = self.attachment, None
        if attachment is not None:
            attachment.detach()

    @property
    def daemon(self) -> "subprocess.Popen[bytes]":
        """The process that serves the mount. Raises LookupError where there is none."""
        if not isinstance(self.attachment, _Daemon):
            raise LookupError(f"{self.filesystem.name} has no daemon")
        return self.attachment.process

    def kill(self) -> None:
        """Kill the daemon, as a crash would, and take away the dead mount."""
        self.daemon.kill()
        self.daemon.wait()
        self.attachment = None
        unmount_or_detach(self.root)

    def remount(self) -> None:
        """Unmount and mount again: what is seen now comes from the disk."""
        self.unmount()
        self.mount()

    def _layer_options(self) -> Iterator[str]:
        if self.lowers:
            # Relative names keep 400 layers within the one page of options that mount(2) takes.
            yield "lowerdir=" + ":".join(os.path.relpath(lower, self.directory) for lower in self.lowers)
        if self.upper is not None:
            yield f"upperdir={self.upper}"
            yield f"workdir={self.work}"


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a directory that other users may walk through, and take it away at the end."""
    directory = Path(tempfile.mkdtemp(prefix="unionfs-", dir=os.environ.get("UNIONFS_TEST_DIRECTORY")))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@contextmanager
def mounted(
    filesystem: FileSystem,
    lowers: Sequence[Layer],
    upper: Layer | None,
    *,
    options: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    upper_size: str = "",
) -> Iterator[Mounted]:
    """Show ``lowers``, topmost first, under ``upper`` (None: read-only) for as long as the block lasts.

    With ``upper_size`` what is written goes to a tmpfs of that size.

    Raises MountError where the mount is refused or the daemon misbehaves, AssertionError where a lower layer
    changed.
    """
    with scratch() as directory, _tmpfs(directory / "rw", upper_size):
        stack = _built(filesystem, directory, lowers, upper)
        stack.options += options
        stack.environment = environment or {}
        before = [snapshot(lower) for lower in stack.lowers]
        try:
            stack.mount()
            yield stack
        finally:
            stack.unmount()
        _check_unchanged(stack.lowers, before)


@contextmanager
def _tmpfs(directory: Path, size: str) -> Iterator[None]:
    """Make the directory, on a tmpfs where a size is given."""
    directory.mkdir()
    if not size:
        yield
        return
    mount("tmpfs", directory, "tmpfs", options=f"size={size}")
    try:
        yield
    finally:
        unmount_or_detach(directory)


def _built(filesystem: FileSystem, directory: Path, lowers: Sequence[Layer], upper: Layer | None) -> Mounted:
    writable = directory / "rw"
    if isinstance(filesystem, PlainDirectory):
        root = writable / "mount"
        layers = [*reversed(lowers), *([upper] if upper is not None else [])]
        write(root, merged(layers))
        mode = ("ro",) if upper is None else ()
        return Mounted(filesystem=filesystem, directory=directory, root=root, options=mode)
    root = directory / "mount"
    root.mkdir()
    paths = tuple(directory / f"l{number}" for number in range(len(lowers)))
    for path, layer in zip(paths, lowers, strict=True):
        path.mkdir()
        write(path, layer)
    if upper is None:
        return Mounted(filesystem=filesystem, directory=directory, root=root, lowers=paths)
    (writable / "work").mkdir()
    write(writable / "upper", upper)
    return Mounted(
        filesystem=filesystem, directory=directory, root=root, lowers=paths,
        upper=writable / "upper", work=writable / "work",
    )  # fmt: skip


def _check_unchanged(lowers: Sequence[Path], before: Sequence[Snapshot]) -> None:
    for lower, state in zip(lowers, before, strict=True):
        changes = differences(state, snapshot(lower))
        assert not changes, f"the lower layer {lower.name} changed: " + "; ".join(changes)


def refusal(filesystem: FileSystem, options: Sequence[str], mountpoint: Path) -> str | None:
    """Return what the file system says when it refuses to mount, or None where it mounts after all."""
    try:
        attachment = filesystem.attach(options, mountpoint, mountpoint.parent, {})
    except MountError as error:
        return str(error)
    attachment.detach()
    return None
