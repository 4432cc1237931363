"""Running a command that click describes, so that it fails as every other command does."""

from collections.abc import Sequence

import click

from unionfs.cli.arguments import UsageError


def run(command: click.Command, arguments: Sequence[str]) -> int:
    """Run *command* and give its exit code: what its function returns, 0 for nothing.

    Raises:
        UsageError: the arguments can't be understood.
        Exception: whatever the function raises.
    """
    name = f"unionfs {command.name}"
    try:
        code = command.main(list(arguments), prog_name=name, standalone_mode=False)
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        raise UsageError(f"{error.format_message().rstrip('.')}; '{name} --help' says more") from None
    return int(code or 0)
