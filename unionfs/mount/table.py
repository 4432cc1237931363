"""The mount table: what ``/proc/self/mountinfo`` says of a path, and taking a mount out of it.

Asks the kernel's table rather than the mounts, since a mount whose daemon is gone or stuck answers nothing.
"""

import errno
import os
import threading
from collections.abc import Sequence
from typing import NamedTuple

from unionfs.linux.mounts import MNT_DETACH, UMOUNT_NOFOLLOW, umount2
from unionfs.mount.errors import MountError

SUBTYPES = ("unionfs", "unionfs-overlay")
"""What is behind ``fuse.`` in the type of this program's mounts: that of ``unionfs mount``, and that of the drop-in."""
MOUNTINFO = "/proc/self/mountinfo"
SYMLINK_LIMIT = 40
PATIENCE = 2.0
"""Seconds that a mount is given to say that it is alive."""


class Mount(NamedTuple):
    """One line of mountinfo (proc(5)), its paths without escapes."""

    mount_id: int
    parent_id: int
    device: str
    """``major:minor``, as ``st_dev`` shows it."""
    mountpoint: bytes
    options: str
    file_system_type: str
    source: bytes

    @property
    def ours(self) -> bool:
        """Whether this program made the mount."""
        return self.file_system_type in _TYPES


_TYPES = frozenset(f"fuse.{subtype}" for subtype in SUBTYPES)


def parse_mountinfo(text: bytes) -> list[Mount]:
    """Read the lines of a mountinfo file, in its order.

    Raises:
        ValueError: a line that isn't of that format.
    """
    return [_parse_line(line) for line in text.split(b"\n") if line]


def _parse_line(line: bytes) -> Mount:
    before, separator, after = line.partition(b" - ")
    left, right = before.split(b" "), after.split(b" ")
    if not separator or len(left) < 6 or len(right) < 2:
        raise ValueError(f"not a line of mountinfo: {line!r}")
    return Mount(
        mount_id=int(left[0]),
        parent_id=int(left[1]),
        device=left[2].decode(),
        mountpoint=_without_escapes(left[4]),
        options=os.fsdecode(left[5]),
        file_system_type=os.fsdecode(_without_escapes(right[0])),
        source=_without_escapes(right[1]),
    )


def _without_escapes(field: bytes) -> bytes:
    """Undo the three octal digits that proc(5) writes for space, tab, newline and backslash."""
    first, *rest = field.split(b"\\")
    return first + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest)


def read_table() -> list[Mount]:
    """Give the mounts that this process sees.

    Raises:
        OSError: ``/proc`` isn't there.
    """
    with open(MOUNTINFO, "rb") as file:
        return parse_mountinfo(file.read())


def mount_at(path: bytes, mounts: Sequence[Mount]) -> Mount | None:
    """Give the mount whose root *path* (absolute, resolved) is: of several on one another, the one on top."""
    stacked = [mount for mount in mounts if mount.mountpoint == path]
    covered = {mount.parent_id for mount in stacked}
    on_top = [mount for mount in stacked if mount.mount_id not in covered]
    return on_top[-1] if on_top else None


def our_mounts() -> list[Mount]:
    """Give the mounts that this program made and this process sees."""
    return [mount for mount in read_table() if mount.ours]


def resolve(path: bytes) -> bytes:
    """Make *path* absolute and free of symbolic links, without asking the file system mounted there.

    The last component is only ever read as a link, which the kernel answers for a directory by itself.

    Raises:
        OSError: ELOOP, or ENOENT for an empty path.
    """
    if not path:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    for _ in range(SYMLINK_LIMIT):
        parent, name = os.path.split(path.rstrip(b"/"))
        if name in (b"", b".", b".."):
            return os.path.realpath(path)
        path = os.path.join(os.path.realpath(parent or b"."), name)
        try:
            target = os.readlink(path)
        except OSError:
            return path
        path = os.path.join(os.path.dirname(path), target)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def is_dead(mountpoint: bytes) -> bool:
    """Tell whether the daemon behind the FUSE mount at *mountpoint* is gone.

    Asks for the file system's numbers, which the kernel never answers from what it remembers. A daemon that takes
    longer than ``PATIENCE`` to answer isn't gone.
    """
    errors: list[int | None] = []

    def ask() -> None:
        try:
            os.statvfs(mountpoint)
        except OSError as error:
            errors.append(error.errno)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return errno.ENOTCONN in errors


def unmount(mountpoint: bytes, *, lazy: bool = False) -> None:
    """Unmount *mountpoint* (resolved): by umount2(2) with the right to, otherwise through fusermount3.

    With *lazy* it disappears at once and ends with its last user.

    Raises:
        MountError: it is busy, isn't mounted, or belongs to another user.
    """
    try:
        umount2(mountpoint, UMOUNT_NOFOLLOW | (MNT_DETACH if lazy else 0))
    except PermissionError:
        _unmount_through_fusermount(mountpoint, lazy=lazy)
    except OSError as error:
        raise MountError(f"cannot unmount {os.fsdecode(mountpoint)}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    if error.errno == errno.EBUSY:
        return "it is busy (--lazy detaches it at once and ends it with its last user)"
    if error.errno == errno.EINVAL:
        return "nothing is mounted there"
    return error.strerror or str(error)


def _unmount_through_fusermount(mountpoint: bytes, *, lazy: bool) -> None:
    import subprocess  # noqa: PLC0415 - loading it takes as long as mounting, and root needs it not

    command: list[str | bytes] = ["fusermount3", "-u", *(["-z"] if lazy else []), "--", mountpoint]
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError:
        reason = "without the right to unmount, fusermount3 (package fuse3) is needed"
        raise MountError(f"cannot unmount {os.fsdecode(mountpoint)}: {reason}") from None
    if result.returncode != 0:
        reason = os.fsdecode(result.stderr).strip() or f"fusermount3 exited with {result.returncode}"
        raise MountError(f"cannot unmount {os.fsdecode(mountpoint)}: {reason}")
