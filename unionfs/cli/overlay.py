"""``unionfs-overlay``: fuse-overlayfs's command line, for podman, buildah, docker, containerd and mount(8).

Owns the second program of this project. What its options mean is in ``mount.overlay_options``.
"""

import os
import sys
from collections.abc import Sequence
from functools import partial

from unionfs import __version__
from unionfs.cli.guard import guarded
from unionfs.cli.mount import open_stack
from unionfs.cli.report import EXIT_FAILURE, EXIT_USAGE
from unionfs.mount import session
from unionfs.mount.overlay_options import TYPE_NAME, parse_command_line
from unionfs.mount.session import ProcessOptions

PREFIX_WHITEOUTS = "FUSE_OVERLAYFS_DISABLE_OVL_WHITEOUT"
# Callers take the program for too old below 1.10, and read the number from this line.
VERSION = f"""\
fuse-overlayfs: version 1.14
{TYPE_NAME}: version {__version__}, in the place of fuse-overlayfs"""
HELP = f"""\
usage: {TYPE_NAME} [-f] [-d] [-o OPTIONS]... [SOURCE] MOUNTPOINT
       {TYPE_NAME} --version | --help

Mounts directories above one another, as fuse-overlayfs does, whose command line it takes. The program returns as soon
as the mount answers; 'umount MOUNTPOINT' or 'fusermount3 -u MOUNTPOINT' ends it.

options:
  -f                      stay in the foreground, log to stderr
  -d, --debug             the same, and say more
  -o OPTIONS              separated by commas; in a path, a comma or colon has a backslash before it:
    lowerdir=A:B            the lower directories, the topmost first
    upperdir=U,workdir=W    where changes go, and a directory on the same file system
    uidmapping=DISK:SHOWN:LENGTH[:...]  gidmapping=...
                            show ids on disk as others
    squash_to_root, squash_to_uid=N, squash_to_gid=N
                            show everything as owned by one
    xattr_permissions=0|1|2 keep owners, modes and devices in security.* (1) or user.* (2) attributes
    volatile, fsync=0       sync nothing
    redirect_dir=on|off|follow|nofollow  metacopy=on|off  userxattr
                            as in the kernel's overlayfs; off is the default
    timeout=SECONDS         for how long the kernel may remember names and attributes
    writeback=0|1           let the kernel gather what is written
    xino=off|auto|on  ino32_t  noacl  static_nlink  allow_other  ro  context="LABEL"
    suid, dev               the default for root
An option that isn't known is reported and ignored; one of overlayfs that would show other data is refused.

examples:
  {TYPE_NAME} -o lowerdir=/layers/b:/layers/a,upperdir=/tmp/u,workdir=/tmp/w /mnt
  mount -t fuse.{TYPE_NAME} none /mnt -o lowerdir=/layers/b:/layers/a
  podman --storage-opt overlay.mount_program=$(command -v {TYPE_NAME}) run ..."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Mount as *arguments*, by default those of this process, say, and give the exit code, which is 0 or 1."""
    words = sys.argv[1:] if arguments is None else arguments
    code = guarded(TYPE_NAME, partial(_run, words), debug="--debug" in words or "-d" in words)
    return EXIT_FAILURE if code == EXIT_USAGE else code


def _run(words: Sequence[str]) -> int:
    if {"-h", "--help"} & set(words):
        print(HELP)
        return 0
    if {"-V", "--version"} & set(words):
        print(VERSION)
        return 0
    asked = parse_command_line(words, is_root=os.geteuid() == 0)
    for ignored in asked.ignored:
        print(f"unknown argument ignored: {ignored}", file=sys.stderr)
    options = asked.options._replace(prefix_whiteouts=PREFIX_WHITEOUTS in os.environ)
    process = ProcessOptions(foreground=asked.foreground, debug=asked.debug)
    serving = partial(open_stack, transport="auto", writeback=asked.writeback, passthrough=None)
    return session.run(asked.mountpoint, options, process, serving)
