"""The commands of ``unionfs``: the only room that prints or exits.

Each command is a module with ``main(arguments) -> exit code``, imported only when it is asked for: mounting
never pays for what unpacking needs.
"""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial

from unionfs import __version__
from unionfs.cli.arguments import UsageError
from unionfs.cli.guard import guarded

COMMANDS: Mapping[str, tuple[str, str]] = {
    "mount": ("unionfs.cli.mount", "mount layers below an upper, or list what is mounted"),
    "umount": ("unionfs.cli.umount", "unmount"),
    "images": ("unionfs.cli.image_list", "list the images of the store"),
    "inspect": ("unionfs.cli.inspect", "print what there is to know of images"),
    "history": ("unionfs.cli.history", "list the steps of an image's making"),
    "tag": ("unionfs.cli.tag", "give an image further names"),
    "rmi": ("unionfs.cli.rmi", "remove images, or names of them"),
    "prune": ("unionfs.cli.prune", "remove what nobody needs"),
    "df": ("unionfs.cli.df", "show what the store takes on disk"),
    "shell": ("unionfs.cli.shell", "run a command in an image, and throw away what it changed"),
    "ls": ("unionfs.cli.ls", "list what is in a directory of an image"),
    "cat": ("unionfs.cli.cat", "print files of images"),
    "cp": ("unionfs.cli.cp", "copy a file or directory of an image to this machine"),
    "why": ("unionfs.cli.why", "say which layers made a path what it is"),
    "waste": ("unionfs.cli.waste", "list what an image ships and doesn't show"),
    "explore": ("unionfs.cli.explore", "look around in an image on the terminal"),
    "export": ("unionfs.cli.export", "write what an image shows as one tar archive"),
    "unpack": ("unionfs.cli.unpack", "unpack an image archive into layer directories"),
    "save": ("unionfs.cli.save", "save images to an archive or a layout"),
    "load": ("unionfs.cli.load", "load the images of an archive into the store"),
    "diff": ("unionfs.cli.diff", "list what an upper changed, or what differs between images"),
    "commit": ("unionfs.cli.commit", "make an image of an upper"),
    "squash": ("unionfs.cli.squash", "make an image of one layer of an image of several"),
    "import": ("unionfs.cli.import_", "make an image of a root file system's tar archive"),
    "uppers": ("unionfs.cli.uppers", "list the uppers of the store, or remove some"),
    "check": ("unionfs.cli.check", "verify the store, and mend it"),
    "flatten": ("unionfs.cli.flatten", "make an upper plain: no redirects, no metadata-only files"),
    "completion": ("unionfs.cli.completion", "print a script that makes a shell complete command lines"),
}
ROOT_VARIABLE = "UNIONFS_ROOT"
"""Says where the store is, as ``--root`` does."""
ALIASES: Mapping[str, str] = {"unmount": "umount"}

_COMMAND_LINES = "\n".join(f"  {name:<11} {summary}" for name, (_, summary) in COMMANDS.items())
HELP = f"""\
usage: unionfs [--debug] [--root DIR] COMMAND ...
       unionfs --version | --help

Mounts read-only layer directories, with a copy-on-write upper on top, as one directory.

commands:
{_COMMAND_LINES}

'unionfs COMMAND --help' says more.

examples:
  unionfs unpack image.tar layers
  unionfs mount -o lowerdir=layers/b:layers/a,upperdir=upper,workdir=work /mnt
  unionfs mount
  unionfs umount /mnt

exit codes: 0 done, 1 failed (the reason is on stderr), 2 the command line is wrong, 130 interrupted.
--debug shows the traceback of an error. --root DIR, or $UNIONFS_ROOT, is the store of images."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that *arguments*, by default those of this process, ask for, and give its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    return guarded("unionfs", partial(_run, words), debug="--debug" in words)


def _run(words: Sequence[str]) -> int:
    options, words = _split_off_options(words)
    if not words:
        raise UsageError("no command is given; 'unionfs --help' lists them")
    if words[0] in ("-h", "--help", "help"):
        print(HELP)
        return 0
    if words[0] in ("-V", "--version"):
        print(f"unionfs {__version__}")
        return 0
    name = ALIASES.get(words[0], words[0])
    if name not in COMMANDS:
        raise UsageError(f"unknown command: {words[0]}; 'unionfs --help' lists them")
    command = importlib.import_module(COMMANDS[name][0])
    return int(command.main([*options, *words[1:]]))


def _split_off_options(words: Sequence[str]) -> tuple[list[str], Sequence[str]]:
    """Split the options before the command from the rest; that of the store is kept in the environment."""
    options: list[str] = []
    while words and words[0].startswith("--"):
        name, equals, value = words[0].partition("=")
        if name == "--debug" and not equals:
            options, words = ["--debug"], words[1:]
        elif name == "--root":
            taken = 1 if equals else 2
            value = value if equals else "".join(words[1:2])
            if not value:
                raise UsageError("--root needs a directory")
            os.environ[ROOT_VARIABLE], words = value, words[taken:]
        else:
            break
    return options, words
