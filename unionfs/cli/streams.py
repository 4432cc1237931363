"""The descriptors 0, 1 and 2, which every program takes for standard input, output and error."""

import os
import sys


def open_missing_streams() -> None:
    """Open those that the caller has closed, so that no other file gets their numbers and is taken for one of them.

    Nothing can be read from standard input then, and what is written to the others is lost, as on ``/dev/null``.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - open to the program's end
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - likewise
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - likewise
