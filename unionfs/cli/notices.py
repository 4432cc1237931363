"""What is said beside the result, on standard error."""

import sys

from unionfs.cli.report import describe, escape


def warn(text: str) -> None:
    """Print a warning."""
    print(escape(f"unionfs: warning: {text}"), file=sys.stderr)


def fail(error: Exception) -> None:
    """Print an error after which the command goes on with what else it was given."""
    print(f"unionfs: error: {describe(error)}", file=sys.stderr)


def say_who_is_waited_for(doing: str, holder: int | None) -> None:
    """Tell of another process, *holder*, that is *doing* something."""
    who = "another process" if holder is None else f"process {holder}"
    print(escape(f"unionfs: waiting for {who}, which is {doing}"), file=sys.stderr, flush=True)
