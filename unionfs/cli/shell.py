"""``unionfs shell``: a command in an image, whose changes are thrown away, or kept."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from unionfs.cli.click_command import run as run_command
from unionfs.cli.images import opened_store
from unionfs.cli.mount import ONE_ID
from unionfs.cli.notices import warn
from unionfs.cli.report import describe
from unionfs.cli.shell_upper import Fate
from unionfs.cli.source import platform_of
from unionfs.cli.tag import new_name
from unionfs.image import Platform, Reference, shown
from unionfs.mount.options import MountOptions
from unionfs.shell.error import ShellError
from unionfs.shell.host_files import host_files, host_name_of
from unionfs.shell.id_maps import IdMaps
from unionfs.shell.process import Wishes, process_of
from unionfs.shell.run import needed_maps, run
from unionfs.shell.setup import Process, Setup, Volume
from unionfs.store.store import StackedImage
from unionfs.store.uppers import Upper

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_SHORT_ID = 12
_OWNERS_IN_USER_ATTRIBUTES = 2
_HELP = """\
Run COMMAND in IMAGE, by default a shell, and throw away what it changed.

IMAGE is a name or an id in the store, or docker-archive:FILE[:REF], oci-archive:FILE[:REF] or oci:DIR[:REF], which is
unpacked into the store first. COMMAND sees the image as its root, has processes, users, devices and a host name of its
own, and the network of this machine. Neither root nor a container runtime is needed.

User, environment and working directory are the image's; its entrypoint isn't run. When COMMAND ends, so does all that
it started.
"""
_EPILOG = """\
The exit code is that of COMMAND; 125 if it wasn't run, 126 if it can't be executed, 127 if it isn't there, and 128 and
the number of the signal that ended it.
"""


def main(arguments: Sequence[str]) -> int:
    """Run as *arguments* say, and give the exit code.

    Raises:
        ShellError: the command wasn't run, for whatever reason, so that its own exit codes can be told from ours.
    """
    try:
        return run_command(_command, arguments)
    except ShellError:
        raise
    except Exception as error:
        raise ShellError(describe(error)) from error


def _volumes_of(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[Volume, ...]:
    return tuple(map(_volume, texts))


def _volume(text: str) -> Volume:
    source, *rest = text.split(":")
    destination, mode = (*rest, "rw")[:2] if rest else ("", "")
    if not source or not destination.startswith("/") or len(rest) > 2 or mode not in ("ro", "rw"):
        raise click.BadParameter(f"{text!r}: it must be SOURCE:DESTINATION[:ro], and DESTINATION absolute")
    return Volume(os.path.abspath(source), destination, read_only=mode == "ro")


def _host_name_of(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    if text is not None and (not text or host_name_of(text.replace(".", "-")) != text.replace(".", "-")):
        raise click.BadParameter(f"{text!r}: up to 63 letters, digits, dots and dashes")
    return text


@click.command(
    "shell",
    help=_HELP,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "allow_interspersed_args": False},
)
@click.argument("image")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--keep", metavar="NAME", help="Keep the changes as the upper NAME, and go on with it where it is there.")
@click.option("--commit", "commit_as", metavar="REF", help="Make an image of the changes if COMMAND ends with 0.")
@click.option(
    "-e", "--env", "environment", metavar="NAME[=VALUE]", multiple=True, help="Set a variable, or pass it on."
)
@click.option(
    "-w", "--workdir", "directory", metavar="DIR", help="The working directory; it is made if it isn't there."
)
@click.option("-u", "--user", metavar="USER[:GROUP]", help="Who COMMAND runs as: names of the image, or numbers.")
@click.option("--hostname", "host_name", metavar="NAME", callback=_host_name_of, help="The name of the host.")
@click.option("--read-only", is_flag=True, help="Let nothing be changed.")
@click.option(
    "-v",
    "--volume",
    "volumes",
    metavar="SOURCE:DESTINATION[:ro]",
    multiple=True,
    callback=_volumes_of,
    help="Show a directory or a file of this machine in the image.",
)
@click.option("--platform", metavar="OS/ARCH", callback=platform_of, help="The platform to take of several.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(  # noqa: PLR0913 - each is an option, by its name
    image: str,
    command: tuple[str, ...],
    *,
    keep: str | None,
    commit_as: str | None,
    environment: tuple[str, ...],
    directory: str | None,
    user: str | None,
    host_name: str | None,
    read_only: bool,
    volumes: tuple[Volume, ...],
    platform: Platform | None,
) -> int:
    wishes = Wishes(command, environment, directory, user)
    name = None if commit_as is None else new_name(commit_as)
    with _ending_by_signal(), opened_store() as store:
        fate = Fate(store, keep, name)
        with fate.opened(image, platform) as (stacked, upper):
            code = _run(stacked, upper, wishes, host_name, Setup(Process((), {}), "", read_only, volumes))
        fate.settle(command, code)
        return code


def _run(stacked: StackedImage, upper: Upper, wishes: Wishes, host_name: str | None, setup: Setup) -> int:
    name = host_name or _host_name(stacked)
    process = process_of(stacked.image.config.execution, wishes, os.environ)
    maps = needed_maps()
    if maps is not None and maps.is_one:
        print(ONE_ID, file=sys.stderr)
    whole = setup._replace(process=process, host_name=name, files=host_files(name))
    return run(_root(stacked, upper, maps), whole, maps, warn)


@contextmanager
def _ending_by_signal() -> Iterator[None]:
    """Have what is temporary removed also where a signal ends this process before or after the command runs."""

    def end(number: int, _frame: FrameType | None) -> None:
        for ending in _ENDING:
            signal.signal(ending, signal.SIG_IGN)
        sys.exit(128 + number)

    before = {number: signal.getsignal(number) for number in _ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as nohup(1) has it
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _host_name(stacked: StackedImage) -> str:
    """Name the host by the image: the last part of its name, or the beginning of its id."""
    image = stacked.image
    last = Reference.parse(image.names[0]).path.rpartition("/")[2] if image.names else ""
    return host_name_of(last) or image.config_digest.hex[:_SHORT_ID]


def _root(stacked: StackedImage, upper: Upper, maps: IdMaps | None) -> MountOptions:
    """Give how the image is mounted.

    Without the right to own files as others, owners are kept in attributes as *unpack* keeps them, also where the
    namespace has more ids: what is kept then needs no namespace to be read, committed or removed.
    """
    return MountOptions(
        lowers=tuple(map(_path, stacked.lowers)),
        upper=_path(upper.upper),
        work=_path(upper.work),
        suid=True,
        volatile=not upper.name,
        discards=not upper.name,
        xattr_permissions=0 if maps is None else _OWNERS_IN_USER_ATTRIBUTES,
        fsname=os.fsencode(shown(stacked.use.image).strip('"')),
    )


def _path(path: Path) -> bytes:
    return os.fsencode(path.absolute())
