"""``unionfs umount``: end mounts of this program, also those whose daemon is gone."""

import os
import time
from collections.abc import Sequence

from unionfs.cli.arguments import Parser
from unionfs.cli.store_path import store_path
from unionfs.mount import table
from unionfs.mount.errors import MountError

_PATIENCE = 10.0
"""Seconds in which a daemon should have ended whose mount is over."""
_RETRY = 0.02
DESCRIPTION = """\
End the mount at each MOUNTPOINT, also one whose daemon is gone ("Transport endpoint is not connected")."""
EPILOG = """
examples:
  unionfs umount /mnt
  unionfs umount --lazy /mnt"""


def main(arguments: Sequence[str]) -> int:
    """Unmount as *arguments* say; the first that fails ends it.

    Raises:
        MountError: a mountpoint is busy, or isn't a mount of this program.
    """
    given = build_parser().parse_args(arguments)
    for mountpoint in given.mountpoints:
        _unmount(os.fsencode(mountpoint), lazy=given.lazy)
    return 0


def build_parser() -> Parser:
    """Give the parser of this command's arguments."""
    parser = Parser("umount", DESCRIPTION, EPILOG)
    parser.add_argument("mountpoints", metavar="MOUNTPOINT", nargs="+")
    parser.add_argument("-l", "--lazy", action="store_true", help="detach at once, end with the last user")
    return parser


def _unmount(path: bytes, *, lazy: bool) -> None:
    resolved = table.resolve(path)
    mount = table.mount_at(resolved, table.read_table())
    shown = os.fsdecode(path)
    if mount is None:
        raise MountError(f"{shown} is not a mountpoint")
    if not mount.ours:
        raise MountError(f"{shown} is not a unionfs but a mount of type {mount.file_system_type}: left alone")
    table.unmount(resolved, lazy=lazy)
    if not lazy and _has_records():
        _wait_for_the_daemon(resolved)


def _has_records() -> bool:
    """Tell whether images are mounted; there may be no store, or one of another user's."""
    try:
        return bool(os.listdir(store_path() / "mounts"))
    except OSError:
        return False


def _wait_for_the_daemon(mountpoint: bytes) -> None:
    """Wait until the record of an image's mount is gone: then its upper can be used, and its image removed."""
    from unionfs.cli.images import opened_store  # noqa: PLC0415 - a mount of layers has no record

    until = time.monotonic() + _PATIENCE
    with opened_store() as store:
        while time.monotonic() < until and os.fsdecode(mountpoint) in {mount.mountpoint for mount in store.mounted()}:
            time.sleep(_RETRY)
