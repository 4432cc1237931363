"""What is to be run, from an image's config and what the caller says of it.

Pure: nothing is looked up on disk. Who ``user`` is, where the command lies and whether ``directory`` exists is found
inside the root.
"""

import posixpath
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from unionfs.image import Execution, shown
from unionfs.shell.error import ShellError
from unionfs.shell.setup import DEFAULT_PATH, Process

DEFAULT_SHELL = "/bin/sh"
_PASSED_ON = ("TERM",)


class Wishes(NamedTuple):
    """What the caller wants otherwise than the image says; empty or None: as the image says."""

    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    """``NAME=VALUE``, or ``NAME`` alone for the caller's own value of it, if there is one."""
    directory: str | None = None
    user: str | None = None


def process_of(execution: Execution, wishes: Wishes, caller: Mapping[str, str]) -> Process:
    """Give what *wishes* make of an image's *execution*; *caller* is the environment of who asks.

    Without a command it is the image's shell (the first word of its ``Shell``, else ``/bin/sh``). Entrypoint and Cmd
    don't count: who looks into an image wants what was typed, and nothing around it.

    Raises:
        ShellError: a name, path or word that can't be one.
    """
    arguments = wishes.command or (execution.shell[0] if execution.shell else DEFAULT_SHELL,)
    process = Process(
        arguments=arguments,
        environment=_environment(execution.env, wishes.environment, caller),
        directory=_directory(wishes.directory, execution.working_dir),
        user=execution.user if wishes.user is None else wishes.user,
    )
    _refuse_nul(process)
    return process


def _environment(image: Sequence[str], wishes: Sequence[str], caller: Mapping[str, str]) -> dict[str, str]:
    found = {"PATH": DEFAULT_PATH}
    found.update({name: caller[name] for name in _PASSED_ON if name in caller})
    for entry in image:
        name, equals, value = entry.partition("=")
        if name and equals:  # the image-spec has no other form, and no program could read one
            found[name] = value
    for entry in wishes:
        name, equals, value = entry.partition("=")
        if not name:
            raise ShellError(f"a variable of the environment has no name: {shown(entry)}")
        if equals:
            found[name] = value
        elif name in caller:
            found[name] = caller[name]
        else:
            found.pop(name, None)
    return found


def _directory(wish: str | None, image: str) -> str:
    directory = image or "/" if wish is None else wish
    if not directory.startswith("/"):
        raise ShellError(f"the working directory {shown(directory)} isn't an absolute path")
    return posixpath.normpath("/" + directory.lstrip("/"))


def _refuse_nul(process: Process) -> None:
    words = (*process.arguments, *process.environment, *process.environment.values(), process.directory, process.user)
    for word in words:
        if "\0" in word:
            raise ShellError(f"no program can be given a NUL character: {shown(word)}")
