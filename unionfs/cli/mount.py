"""``unionfs mount``: the command line, read with the standard library alone so that it starts at once."""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial

from unionfs.cli.arguments import Parser, UsageError
from unionfs.cli.layer_options import LOWER, UPPER, WORK, add_layer_options, settings_of
from unionfs.cli.report import escape
from unionfs.linux.ids import mapped_ids
from unionfs.mount import session, table
from unionfs.mount.options import MountOptions, parse_settings, read_settings
from unionfs.mount.session import OpenStack, ProcessOptions, Stack

DESCRIPTION = """\
Mount an image, or the lower directories that are given, the first being the topmost, and above them an upper that takes
every change; without an upper the mount is read-only. The command returns as soon as the mount answers. Set-id bits
and device files have no effect in it, unless -o suid,dev is given. Without arguments, list what is mounted.

IMAGE is a name or id in the store, or docker-archive:FILE[:REF], oci-archive:FILE[:REF] or oci:DIR[:REF], whose layers
are unpacked into the store."""
EPILOG = r"""
options for -o, separated by commas; in a path, a comma, colon or backslash has a backslash before it:
  lowerdir=A:B           the lower directories, the topmost first
  upperdir=U,workdir=W   the upper, and a directory on the same file system that is its own
  ro                     take no changes, even with an upper
  suid,dev,noexec        the flags of mount(8); nosuid,nodev,exec are the default
  allow_other            let other users in (always so when root mounts)
  redirect_dir=on|off|follow|nofollow  metacopy=on|off  userxattr  volatile
                         as in the kernel's overlayfs
  noacl                  no POSIX ACLs
  fsname=NAME            the source that the mount table shows

examples:
  unionfs mount busybox /mnt
  unionfs mount --rw docker-archive:image.tar /mnt
  unionfs mount --layers busybox /mnt
  unionfs mount -o lowerdir=/layers/app:/layers/base /mnt
  unionfs mount -o lowerdir=/layers/base,upperdir=/tmp/u,workdir=/tmp/w /mnt
  unionfs mount --lower /layers/app --lower /layers/base --upper /tmp/u --work /tmp/w /mnt"""
ONE_ID = "unionfs: this user namespace has one id only: everything is shown as owned by it"


def main(arguments: Sequence[str]) -> int:
    """Mount as *arguments* say, or list what is mounted when they name no mountpoint and no option."""
    # argparse would take the word after a plain --rw, the image, for the name of the upper.
    given = build_parser().parse_args(["--rw=" if word == "--rw" else word for word in arguments])
    if not given.places:
        if given.settings or given.layers or given.rw is not None:
            raise UsageError("the mountpoint is missing; 'unionfs mount --help' says more")
        _list_mounts()
        return 0
    *image, mountpoint = given.places
    if len(image) > 1:
        raise UsageError(f"unexpected argument: {given.places[2]}; 'unionfs mount --help' says more")
    _check_image_options(given, has_image=bool(image))
    process = ProcessOptions(
        foreground=given.foreground,
        log_file=None if given.log is None else os.fsencode(given.log),
        debug=given.debug,
    )
    _warn_of_one_id()
    serving: OpenStack = partial(
        open_stack,
        transport=given.transport,
        writeback={"on": True, "off": False, "auto": None}[given.writeback],
        passthrough={"passthrough": True, "cached": False, "auto": None}[given.io],
    )
    if image:
        return _mount_image(image[0], mountpoint, given, process, serving)
    options = parse_settings(settings_of(given.settings))._replace(prefetch=given.prefetch == "auto")
    return session.run(os.fsencode(mountpoint), options, process, serving)


def _check_image_options(given: argparse.Namespace, *, has_image: bool) -> None:
    for option, is_given in (("--rw", given.rw is not None), ("--layers", given.layers)):
        if is_given and not has_image:
            raise UsageError(f"{option} goes with an image; 'unionfs mount --help' says more")
    if given.layers and given.rw is not None:
        raise UsageError("--layers shows what the image is made of: --rw can't be given with it")


def _mount_image(
    image: str, mountpoint: str, given: argparse.Namespace, process: ProcessOptions, serving: OpenStack
) -> int:
    from unionfs.cli.image_mount import prepared  # noqa: PLC0415 - a mount of layers needs no store

    options = read_settings(settings_of(given.settings))._replace(prefetch=given.prefetch == "auto")
    with prepared(image, mountpoint, options, upper=given.rw, by_layers=given.layers) as mount:
        return session.run(os.fsencode(mountpoint), mount.options, process, mount.opening(serving))


def _warn_of_one_id() -> None:
    """Say why no owners are told apart, in a user namespace that maps one id alone."""
    ids = mapped_ids()
    if ids is not None and ids.is_one:
        print(ONE_ID, file=sys.stderr)


def open_stack(options: MountOptions, *, transport: str, writeback: bool | None, passthrough: bool | None) -> Stack:
    """Open the layers in the process that serves; what is None is decided by what was measured."""
    from unionfs.fuse import Transport  # noqa: PLC0415 - loaded only by the process that serves
    from unionfs.fuse.data_path import DataPath  # noqa: PLC0415 - likewise
    from unionfs.mount.stack import UnionStack  # noqa: PLC0415 - likewise

    return UnionStack(options, Transport(transport), DataPath(writeback=writeback, passthrough=passthrough))


def build_parser() -> Parser:
    """Give the parser of this command's arguments."""
    parser = Parser("mount", DESCRIPTION, EPILOG)
    parser.add_argument("places", metavar="[IMAGE] MOUNTPOINT", nargs="*")
    parser.add_argument(
        "--rw",
        nargs="?",
        metavar="NAME",
        help="take changes, in an upper of that name, which stays, or without =NAME in one that is discarded at umount",
    )
    parser.add_argument(
        "--layers",
        action="store_true",
        help="show rootfs (the whole image), layers/N-DIGEST (each layer alone) and steps/N (the layers up to it)",
    )
    add_layer_options(parser, LOWER, UPPER, WORK)
    parser.add_argument("-f", "--foreground", action="store_true", help="stay in the foreground, log to stderr")
    parser.add_argument(
        "--transport",
        choices=("auto", "kernel", "pyfuse3"),
        default="auto",
        help="speak the kernel's protocol, or through pyfuse3 (auto: the kernel's from Linux 5.4 on)",
    )
    parser.add_argument(
        "--writeback",
        choices=("on", "off", "auto"),
        default="auto",
        help="let the kernel gather what is written, with the kernel transport (auto: off, see the manual)",
    )
    parser.add_argument(
        "--io",
        choices=("auto", "cached", "passthrough"),
        default="auto",
        help="let the kernel read and write the layers by itself (auto: where changes are taken and it can)",
    )
    parser.add_argument(
        "--prefetch",
        choices=("auto", "off"),
        default="auto",
        help="read ahead the next files where those of a directory are read one after another",
    )
    parser.add_argument("--log", metavar="FILE", help="append the log to FILE instead of sending it to syslog")
    return parser


def _list_mounts() -> None:
    for mount in table.our_mounts():
        source, mountpoint = os.fsdecode(mount.source), os.fsdecode(mount.mountpoint)
        print(escape(f"{source} on {mountpoint} type {mount.file_system_type} ({mount.options})"))
