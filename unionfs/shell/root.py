"""The root that the command finds: the mounted image, and on it what a program expects of a running system.

/proc of its own pid namespace, /sys, /dev with the harmless devices, the volumes, the host's network configuration.
Everything is prepared while the host's root is still there, unattached, and attached after it is gone: so no path of
the image is ever followed where it could lead out of it. No mount but those of the devices lets a device be opened.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping

from unionfs.linux import mounts
from unionfs.linux.mounts import (
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    attach_tree,
    clone_tree,
    new_file_system,
    set_mount_attributes,
)
from unionfs.shell.error import ShellError, as_text
from unionfs.shell.places import Places
from unionfs.shell.report import Report
from unionfs.shell.setup import Setup, Volume

_INERT = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
# What tells or changes the state of the whole machine (the OCI runtime-spec's maskedPaths and readonlyPaths, as runc
# and podman fill them).
_MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/timer_list", "/proc/timer_stats", "/proc/interrupts", "/sys/dev/block", "/sys/devices/virtual/powercap",
    "/sys/firmware",
)  # fmt: skip
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_TTY_GROUP = b"5"


class Root:
    """The root of one run."""

    def __init__(self, setup: Setup, report: Report) -> None:
        self._setup = setup
        self._report = report
        self._places = Places()
        self._top = -1

    def enter(self, root_fd: int, mountpoint: str) -> None:
        """Make *root_fd*, attached at the directory *mountpoint* of the host meanwhile, the root of this process.

        Raises:
            ShellError, OSError: something can't be mounted.
        """
        systems = self._systems()
        devices = self._devices()
        volumes = [(_volume(volume), volume.destination) for volume in self._setup.volumes]
        place = os.open(mountpoint, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        attach_tree(root_fd, place)
        os.close(place)
        os.fchdir(root_fd)
        mounts.pivot_root_here()
        self._top = root_fd
        self._check_own_directories()
        for path, tree in systems.items():
            self._places.attach(tree, path)
        self._fill_dev(devices)
        self._guard()
        self._add_files()
        for tree, path in volumes:
            self._places.attach(tree, path)
        if self._setup.read_only:
            set_mount_attributes(root_fd, set_=MOUNT_ATTR_RDONLY)

    def tidy(self) -> None:
        """Take away what was made to be mounted on, when no process is left in the root."""
        if self._setup.read_only:
            set_mount_attributes(self._top, clear=MOUNT_ATTR_RDONLY)
        self._places.tidy()

    # While the host's root is there.

    def _systems(self) -> dict[str, int]:
        """Give the file systems of the kernel, by where they go."""
        made: dict[str, Callable[[], int]] = {
            "/proc": lambda: new_file_system(b"proc", {}, _INERT),
            "/sys": _sysfs,
            "/dev": lambda: new_file_system(b"tmpfs", {b"mode": b"755", b"size": b"64m"}, _INERT),
        }
        found = {}
        for path, make in made.items():
            with self._optional(path):
                found[path] = make()
        return found

    def _devices(self) -> dict[str, int]:
        """Give the host's devices, by their names in /dev."""
        paths = {name: f"/dev/{name}" for name in _DEVICES}
        found = {}
        for name, path in paths.items():
            with contextlib.suppress(FileNotFoundError):
                found[name] = _clone(path, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)
        return found

    @contextlib.contextmanager
    def _optional(self, path: str) -> Iterator[None]:
        """Go on without *path* where the kernel won't have it, as in a container whose own one is partly hidden."""
        try:
            yield
        except PermissionError as error:
            self._report.warn(f"there is no {path}: {as_text(error)}")

    # In the root of the image.

    def _check_own_directories(self) -> None:
        for path in ("/proc", "/sys", "/dev"):
            with contextlib.suppress(FileNotFoundError):
                if not stat.S_ISDIR(os.lstat(path).st_mode):
                    raise ShellError(f"{path} of the image is no directory")

    def _fill_dev(self, devices: dict[str, int]) -> None:
        for name, make in _DEV_SYSTEMS.items():
            os.mkdir(f"/dev/{name}", 0o755)
            with self._optional(f"/dev/{name}"):
                self._places.attach(make(), f"/dev/{name}")
        for name, target in _LINKS.items():
            os.symlink(target, f"/dev/{name}")
        for name, tree in devices.items():
            os.close(os.open(f"/dev/{name}", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
            self._places.attach(tree, f"/dev/{name}")

    def _guard(self) -> None:
        for path in _MASKED:
            with contextlib.suppress(FileNotFoundError):
                is_directory = stat.S_ISDIR(os.lstat(path).st_mode)
                tree = _empty_directory() if is_directory else _clone("/dev/null", MOUNT_ATTR_RDONLY)
                self._places.attach(tree, path)
        for path in _READ_ONLY:
            with contextlib.suppress(FileNotFoundError):
                self._places.attach(_clone(path, MOUNT_ATTR_RDONLY), path)

    def _add_files(self) -> None:
        """Have each of the setup's files, of a file system in memory, in its place."""
        if not self._setup.files:
            return
        tree = new_file_system(b"tmpfs", {b"mode": b"755", b"size": b"1m"}, _INERT)
        for number, (_, content) in enumerate(self._setup.files):
            fd = os.open(str(number), os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=tree)
            with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(content)
        # Only what is attached can be cloned.
        directory = "/dev/files"
        os.mkdir(directory)
        self._places.attach(tree, directory)
        for number, (path, _) in enumerate(self._setup.files):
            try:
                self._places.attach(_clone(f"{directory}/{number}", 0), path)
            except ShellError as error:
                self._report.warn(str(error))  # an image that has a directory there can do without
        mounts.umount2(os.fsencode(directory), mounts.MNT_DETACH)
        os.rmdir(directory)


def _clone(path: str, attributes: int, *, recursive: bool = False) -> int:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        tree = clone_tree(fd, recursive=recursive)
    finally:
        os.close(fd)
    try:
        set_mount_attributes(tree, set_=attributes, recursive=recursive)
    except OSError:
        os.close(tree)
        raise
    return tree


def _volume(volume: Volume) -> int:
    attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (MOUNT_ATTR_RDONLY if volume.read_only else 0)
    return _clone(volume.source, attributes, recursive=True)


def _sysfs() -> int:
    """Give /sys, read-only: a new one only for who owns the network namespace, otherwise a clone of the host's."""
    try:
        return new_file_system(b"sysfs", {b"ro": None}, _INERT | MOUNT_ATTR_RDONLY)
    except PermissionError:
        return _clone("/sys", _INERT | MOUNT_ATTR_RDONLY, recursive=True)


def _devpts() -> int:
    """Give a /dev/pts of its own, whose terminals have the group tty where there is one."""
    options = {b"newinstance": None, b"ptmxmode": b"0666", b"mode": b"0620"}
    try:
        return new_file_system(b"devpts", {**options, b"gid": _TTY_GROUP}, _INERT & ~MOUNT_ATTR_NODEV)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return new_file_system(b"devpts", options, _INERT & ~MOUNT_ATTR_NODEV)


def _empty_directory() -> int:
    return new_file_system(b"tmpfs", {b"mode": b"555", b"size": b"4k"}, _INERT | MOUNT_ATTR_RDONLY)


_DEV_SYSTEMS: Mapping[str, Callable[[], int]] = {
    "pts": _devpts,
    "shm": lambda: new_file_system(b"tmpfs", {b"mode": b"1777", b"size": b"64m"}, _INERT),
    "mqueue": lambda: new_file_system(b"mqueue", {}, _INERT),
}
"""What is mounted in /dev, by its name there."""
