"""The installed ``unionfs`` with a store of its own, as a user runs it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("unionfs")


class Program:
    """The program, and the store that it is told of."""

    def __init__(self, top: Path) -> None:
        self.store = top / "store"

    def run(self, *words: str | Path, code: int = 0, within: Sequence[str] = ()) -> str:
        """Run ``unionfs``, as an argument of the command *within*, and give what it prints, errors included."""
        done = subprocess.run(
            [*within, PROGRAM, "--root", self.store, *words],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr
