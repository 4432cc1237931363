"""What the processes of one run tell the first of them: warnings, and at most one failure, through a pipe.

It ends when the command runs: every process lets go of it by then, the command itself by its exec.
"""

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from unionfs.shell.error import EXIT_FAILURE, ShellError, as_text

_WARNING = 0
_PIECE = 4096
_LONGEST = 3000
"""Bytes of a text; what is written at once is never mixed with another's up to 4096 (pipe(7))."""


class Report(NamedTuple):
    """The writing end."""

    fd: int

    def warn(self, text: str) -> None:
        """Tell of something that is missing while all else goes on."""
        self._write(_WARNING, text)

    def fail(self, error: BaseException) -> int:
        """Tell why the command isn't run, and give the exit code for that."""
        code = error.code if isinstance(error, ShellError) else EXIT_FAILURE
        self._write(code, as_text(error))
        return code

    def close(self) -> None:
        """Let go of the pipe: from now on this process has nothing to tell."""
        os.close(self.fd)

    def _write(self, code: int, text: str) -> None:
        os.write(self.fd, b"%d %s\0" % (code, text.encode(errors="surrogateescape")[:_LONGEST].replace(b"\0", b"")))


def failures(fd: int, wait: Callable[[], None] = lambda: None) -> Iterator[ShellError | str]:
    """Give what is told, a warning as its text, until nobody has the writing end; *wait* comes before a read."""
    with os.fdopen(fd, "rb", buffering=0) as pipe:
        rest = b""
        while True:
            wait()
            more = pipe.read(_PIECE)
            if not more:
                return
            *records, rest = (rest + more).split(b"\0")
            for record in records:
                code, _, text = record.partition(b" ")
                shown = text.decode(errors="surrogateescape")
                yield ShellError(shown, int(code)) if int(code) else shown
