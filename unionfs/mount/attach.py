"""Attaching a FUSE connection to a directory: mount(2) with the right to, otherwise through fusermount3.

The mount is made on the directory that was opened and checked, not on whatever its path leads to by then.
What is then said on the connection is for ``fuse``.
"""

import errno
import os
from typing import NamedTuple

from unionfs.linux.libc import LIBC, check
from unionfs.mount.errors import MountError
from unionfs.mount.options import MountOptions

DEVICE = "/dev/fuse"
# Where it isn't, the kernel knows none of the options for labels, and refuses them.
_SELINUX = "/sys/fs/selinux"
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME = 1, 2, 4, 8, 1024


class Attachment(NamedTuple):
    """A FUSE connection that is mounted."""

    device_fd: int
    """The connection's end on ``/dev/fuse``; the mount is dead when it is closed."""
    by_itself: bool
    """Whether mount(2) was allowed, so that nothing run later needs set-id rights."""


def attach(mountpoint: bytes, mountpoint_fd: int, options: MountOptions) -> Attachment:
    """Mount a new FUSE connection on the directory *mountpoint_fd*, whose resolved path is *mountpoint*.

    Raises:
        MountError: the kernel has no FUSE, or neither way was allowed.
    """
    try:
        return _attach_by_itself(mountpoint, mountpoint_fd, options)
    except PermissionError as error:
        if os.geteuid() == 0:
            raise MountError(
                f"cannot mount on {os.fsdecode(mountpoint)}: {error.strerror}"
                f" (the capability CAP_SYS_ADMIN and access to {DEVICE} are needed)"
            ) from error
        return Attachment(_attach_through_fusermount(mountpoint, options), by_itself=False)


def _attach_by_itself(mountpoint: bytes, mountpoint_fd: int, options: MountOptions) -> Attachment:
    device_fd = _open_device()
    try:
        check(
            LIBC.mount(
                options.fsname,
                b"/proc/self/fd/%d" % mountpoint_fd,
                f"fuse.{options.subtype}".encode(),
                mount_flags(options),
                connection_parameters(device_fd, options),
            )
        )
    except PermissionError:
        os.close(device_fd)
        raise
    except OSError as error:
        os.close(device_fd)
        raise MountError(f"cannot mount on {os.fsdecode(mountpoint)}: {error.strerror}") from error
    return Attachment(device_fd, by_itself=True)


def _open_device() -> int:
    try:
        return os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            reason = "the kernel has no FUSE, or its module isn't loaded"
            raise MountError(f"{DEVICE}: {error.strerror}: {reason}") from error
        raise


def mount_flags(options: MountOptions) -> int:
    """Give the MS_* bits of mount(2); a mount without a writable upper is read-only."""
    flags = MS_NOATIME
    for bit, wanted in (
        (MS_RDONLY, not options.writable),
        (MS_NOSUID, not options.suid),
        (MS_NODEV, not options.dev),
        (MS_NOEXEC, not options.exec_),
    ):
        flags |= bit if wanted else 0
    return flags


def connection_parameters(device_fd: int, options: MountOptions) -> bytes:
    """Give the text that the kernel's FUSE takes: who mounts, and that it checks permissions."""
    parameters = [
        f"fd={device_fd}",
        "rootmode=40000",
        f"user_id={os.geteuid()}",
        f"group_id={os.getegid()}",
        "default_permissions",
    ]
    allow_other = options.allow_other if options.allow_other is not None else os.geteuid() == 0
    if allow_other:
        parameters.append("allow_other")
    if os.path.isdir(_SELINUX):
        parameters += [f'{name}="{label}"' for name, label in options.labels]
    return ",".join(parameters).encode()


def fusermount_options(options: MountOptions) -> bytes:
    """Give the ``-o`` argument of fusermount3, which adds the ids and the connection by itself.

    Raises:
        MountError: an option that it grants only to root.
    """
    for name, wanted in (("suid", options.suid), ("dev", options.dev)):
        if wanted:
            raise MountError(f"option {name} needs the right to mount: with fusermount3 it is always no{name}")
    words = [b"rw" if options.writable else b"ro", b"nosuid", b"nodev", b"noatime", b"default_permissions"]
    if not options.exec_:
        words.append(b"noexec")
    if options.allow_other:
        words.append(b"allow_other")
    fsname = options.fsname.replace(b"\\", b"\\\\").replace(b",", b"\\,")
    return b",".join([*words, b"subtype=" + options.subtype.encode(), b"fsname=" + fsname])


def _attach_through_fusermount(mountpoint: bytes, options: MountOptions) -> int:
    """Let the set-id program mount; it sends the connection over the socket that the environment names."""
    import socket  # noqa: PLC0415 - loading the two takes as long as mounting, and root needs them not
    import subprocess  # noqa: PLC0415 - likewise

    ours, theirs = socket.socketpair()
    with ours, theirs:
        command: list[str | bytes] = ["fusermount3", "-o", fusermount_options(options), "--", mountpoint]
        environment = {**os.environ, "_FUSE_COMMFD": str(theirs.fileno())}
        try:
            result = subprocess.run(
                command,
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError:
            raise MountError("without the right to mount, fusermount3 (package fuse3) is needed") from None
        if result.returncode != 0:
            reason = os.fsdecode(result.stderr).strip() or f"fusermount3 exited with {result.returncode}"
            raise MountError(f"cannot mount on {os.fsdecode(mountpoint)}: {reason}")
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    if not descriptors:
        raise MountError("fusermount3 gave no connection")
    os.set_inheritable(descriptors[0], False)  # noqa: FBT003 - os takes it by position only
    return descriptors[0]
