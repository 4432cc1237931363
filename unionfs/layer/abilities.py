"""What a file system lets us keep in an upper, found by trying it in the working directory.

The user id decides nothing: root in a user namespace is id 0 and may do less.
"""

import errno
import os
import stat
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from unionfs.layer import private_xattrs as names
from unionfs.layer.directory import Directory
from unionfs.layer.whiteout import PREFIX
from unionfs.linux import xattrs
from unionfs.linux.ids import MappedIds, mapped_ids
from unionfs.linux.rename import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, renameat2

_REFUSALS = (errno.EPERM, errno.EACCES, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)


class WhiteoutForm(Enum):
    """How whiteouts are written: overlayfs's device 0:0, a ``.wh.`` file, or an attribute of an empty file."""

    DEVICE = "device"
    PREFIX = "prefix"
    ATTRIBUTE = "attribute"


class Abilities(NamedTuple):
    """What can be kept.

    ``namespace``: the prefix of overlayfs's attributes that may be written, or None. ``owners``: ids can be set, so
    that nothing has to be kept in ``override_stat``. ``devices``: device nodes can be made. ``exchange``: that flag of
    renameat2 works, ``noreplace``: this one does (NFS has neither); the one that leaves a whiteout does where
    ``whiteouts`` is DEVICE, since no other way is as safe.
    ``ids``: those that exist in the user namespace, None for all.
    """

    namespace: bytes | None
    user_xattrs: bool
    whiteouts: WhiteoutForm
    owners: bool
    devices: bool
    exchange: bool
    noreplace: bool
    ids: MappedIds | None = None


def probe(work: Directory, *, user_namespace: bool, prefix_whiteouts: bool) -> Abilities:
    """Try each ability with files of *work*, and remove them.

    *user_namespace* asks for ``user.overlay.`` (the kernel's ``userxattr``), *prefix_whiteouts* for ``.wh.`` files.

    Raises:
        OSError: nothing can be written there at all.
    """
    fd, name, other = work.fd(), b"#probe", b"#probe2"
    ids = mapped_ids()
    for leftover in (name, other):
        _unlink_if_there(fd, leftover)
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=fd))
    try:
        path = work.path(name)
        trusted = not user_namespace and _works(lambda: xattrs.set_(path, names.TRUSTED + b"probe", b"y"))
        user = _works(lambda: xattrs.set_(path, names.USER + b"probe", b"y"))
        owners = _can_give_away(fd, name, (1, 1) if ids is None else ids.another())
        exchange = _can_exchange(fd, name, other)
        noreplace = _can_avoid_replacing(fd, name, other)
        rename_whiteout = _works(lambda: renameat2(fd, name, fd, other, RENAME_WHITEOUT))
        devices = _can_make(fd, b"#probe3", os.makedev(1, 3))
        whiteout = rename_whiteout and _can_make(fd, b"#probe3", 0)
    finally:
        for leftover in (name, other):
            _unlink_if_there(fd, leftover)
    namespace = names.TRUSTED if trusted else names.USER if user else None
    return Abilities(
        namespace=namespace,
        user_xattrs=user,
        whiteouts=_whiteout_form(fd, device=whiteout and not prefix_whiteouts),
        owners=owners,
        devices=devices,
        exchange=exchange,
        noreplace=noreplace,
        ids=ids,
    )


def _whiteout_form(fd: int, *, device: bool) -> WhiteoutForm:
    if device:
        return WhiteoutForm.DEVICE
    # A mount of this program, as the upper of another, takes neither a device 0:0 nor a .wh. name.
    name = PREFIX + b"#probe"
    _unlink_if_there(fd, name)
    if not _works(
        lambda: os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=fd))
    ):
        return WhiteoutForm.ATTRIBUTE
    os.unlink(name, dir_fd=fd)
    return WhiteoutForm.PREFIX


def _can_give_away(fd: int, name: bytes, owner: tuple[int, int] | None) -> bool:
    return owner is not None and _works(lambda: os.chown(name, *owner, dir_fd=fd, follow_symlinks=False))


def _can_exchange(fd: int, name: bytes, other: bytes) -> bool:
    os.link(name, other, src_dir_fd=fd, dst_dir_fd=fd, follow_symlinks=False)
    works = _works(lambda: renameat2(fd, name, fd, other, RENAME_EXCHANGE))
    os.unlink(other, dir_fd=fd)
    return works


def _can_avoid_replacing(fd: int, name: bytes, other: bytes) -> bool:
    if not _works(lambda: renameat2(fd, name, fd, other, RENAME_NOREPLACE)):
        return False
    os.rename(other, name, src_dir_fd=fd, dst_dir_fd=fd)
    return True


def _can_make(fd: int, name: bytes, device: int) -> bool:
    _unlink_if_there(fd, name)
    try:
        if not _works(lambda: os.mknod(name, stat.S_IFCHR, device, dir_fd=fd)):
            return False
        os.unlink(name, dir_fd=fd)
    except FileNotFoundError:
        return False  # fuse-overlayfs says so of a device 0:0, which is a whiteout to it
    return True


def _works(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        return False
    return True


def _unlink_if_there(fd: int, name: bytes) -> None:
    try:
        os.unlink(name, dir_fd=fd)
    except FileNotFoundError:
        return
