"""A directory that no layer may touch, and a look at all of it before and after."""

import os
from collections.abc import Callable
from pathlib import Path

from tests.snapshots import differences, snapshot

SECRET = "secret"


class Victim:
    """A directory outside of every layer, with a file that nobody but its owner may read."""

    def __init__(self, directory: Path, run: Callable[[Callable[[], None]], None]) -> None:
        """Make the directory with ``run``, which calls a function as the user that it is to belong to."""
        self.directory = directory
        self.path = os.fsencode(directory)
        run(self._make)
        self._before = snapshot(directory)

    def _make(self) -> None:
        self.directory.mkdir()
        secret = self.directory / SECRET
        secret.write_text("the content")
        secret.chmod(0o400)
        os.utime(secret, ns=(10**18, 10**18 + 1))
        (self.directory / "sub").mkdir()
        (self.directory / "sub/file").write_text("more")

    def check(self) -> None:
        """Raise AssertionError unless nothing in it changed."""
        assert differences(self._before, snapshot(self.directory)) == []
