"""What stands around every program: an error becomes one line and an exit code."""

import os
import sys
from collections.abc import Callable

from unionfs.cli.report import describe, exit_code
from unionfs.cli.streams import open_missing_streams


def guarded(program: str, run: Callable[[], int], *, debug: bool) -> int:
    """Give the exit code of *run*, or of the error that it raised, which *program* reports; *debug* shows where."""
    open_missing_streams()
    try:
        code = run()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains again at its end
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the one place where an error becomes a line and an exit code
        if debug:
            sys.excepthook(type(error), error, error.__traceback__)
        print(f"{program}: error: {describe(error)}", file=sys.stderr)
        return exit_code(error)
