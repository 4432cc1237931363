"""``unionfs umount``: end mounts of this program, also those whose daemon is gone."""

import os
from collections.abc import Sequence

from unionfs.cli.arguments import Parser
from unionfs.mount import table
from unionfs.mount.errors import MountError

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
