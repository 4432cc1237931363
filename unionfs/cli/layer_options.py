"""The arguments by which commands are told of layers: ``-o`` as for mount(8), or one directory each."""

import argparse
from collections.abc import Iterable, Iterator
from functools import partial

from unionfs.mount.options import Setting, split_option_string

_OPTION_STRING = "-o"
LOWER = ("--lower", "lowerdir+", "DIR", "one lower directory, below those before it; may be repeated")
UPPER = ("--upper", "upperdir", "DIR", "the upper directory")
WORK = ("--work", "workdir", "DIR", "the upper's work directory")


def add_layer_options(parser: argparse.ArgumentParser, *flags: tuple[str, str, str, str]) -> None:
    """Add ``-o`` and *flags*; what they are given is collected in ``settings``, in the order of the command line."""
    for flag, name, value, about in (
        ("-o", _OPTION_STRING, "OPTIONS", "mount options; may be repeated"),
        *flags,
    ):
        parser.add_argument(
            flag,
            dest="settings",
            action="append",
            type=partial(_named, name),
            metavar=value,
            help=about,
            default=[],
        )


def _named(name: str, value: str) -> Setting:
    return name, value


def settings_of(given: Iterable[Setting]) -> Iterator[Setting]:
    """Give the settings in the order of the command line; a path that is its own argument has no escapes.

    Raises:
        OptionError: an ``-o`` can't be split.
    """
    for name, value in given:
        if name == _OPTION_STRING:
            yield from split_option_string(value or "")
        else:
            yield name, as_path(value or "")


def as_path(text: str) -> str:
    r"""Give the value of an option for the path *text*, in which ``\`` stands for itself."""
    return text.replace("\\", "\\\\")
