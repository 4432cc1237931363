"""The standard library's argument parser, made to report as every other error is reported."""

import argparse
from typing import Any, NoReturn


class UsageError(Exception):
    """The command line can't be understood; the text says why."""


class Parser(argparse.ArgumentParser):
    """Raises a ``UsageError`` instead of printing and exiting; help is shown as it was written.

    ``actions`` are the options and arguments in the order they were added, for who completes command lines.
    """

    def __init__(self, command: str, description: str, epilog: str) -> None:
        self.actions: list[argparse.Action] = []
        super().__init__(
            prog=f"unionfs {command}",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.add_argument("--debug", action="store_true", help="show the traceback of an error")

    def add_argument(self, *names: str, **settings: Any) -> argparse.Action:
        """Add an option or argument as the base class does, and remember it."""
        action = super().add_argument(*names, **settings)
        self.actions.append(action)
        return action

    def error(self, message: str) -> NoReturn:
        """Raise *message* with a hint to the command's help."""
        raise UsageError(f"{message}; '{self.prog} --help' says more")
