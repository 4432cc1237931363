"""``unionfs shell`` with an image and a store of its own, as a user runs it."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.program import PROGRAM
from tests.shell.image import busybox_layout

PATIENCE = 20.0


class Place:
    """A store, and an image beside it that has no name there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = directory / "store"
        self.image = (
            f"oci:{busybox_layout(directory / 'image', Env=['COLOUR=blue'], User='bob', WorkingDir='/home/bob')}"
        )

    @property
    def environment(self) -> dict[str, str]:
        """Give the environment for the program."""
        return {**os.environ, "UNIONFS_ROOT": str(self.store)}

    def command(self, *words: str) -> list[str]:
        """Give the command with the image between options and words: ``--`` stands for it."""
        place = words.index("--")
        return [str(PROGRAM), "shell", *words[:place], self.image, *words[place + 1 :]]

    def run(self, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """Run to the end."""
        return subprocess.run(
            self.command(*words),
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment,
            check=False,
            timeout=60,
        )

    def output(self, *words: str) -> str:
        """Run what must do well and give what it writes."""
        result = self.run(*words)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    def temporary(self) -> list[str]:
        """Give what the store holds of mounts."""
        return os.listdir(self.store / "mounts")


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
