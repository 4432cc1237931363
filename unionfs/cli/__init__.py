"""The commands of ``unionfs``: the only room that prints or exits."""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial

from unionfs import __version__
from unionfs.cli.arguments import UsageError
from unionfs.cli.commands import ALIASES, COMMANDS, GROUPS
from unionfs.cli.guard import guarded

ROOT_VARIABLE = "UNIONFS_ROOT"
"""Says where the store is, as ``--root`` does."""


def _lines(group: Mapping[str, tuple[str, str]]) -> str:
    return "\n".join(f"  {name:<11} {summary}" for name, (_, summary) in group.items())


_GROUPS = "\n\n".join(f"{title}:\n{_lines(group)}" for title, group in GROUPS.items())
HELP = f"""\
usage: unionfs [--debug] [--root DIR] COMMAND ...
       unionfs --version | --help

Mounts container images, or layer directories, with a copy-on-write upper on top, and keeps a store of images.

{_GROUPS}

'unionfs COMMAND --help' says more.

examples:
  unionfs load -i image.tar
  unionfs shell busybox
  unionfs mount --rw busybox /mnt
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
