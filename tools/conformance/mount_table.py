"""Watching whose mount is at a directory while a suite runs that mounts by itself."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_EVERY = 0.02
"""Seconds between two looks at the mount table."""


class Watch:
    """Collects, while its ``with`` block runs, what the mount table says of one mountpoint."""

    def __init__(self, mountpoint: Path) -> None:
        self._mountpoint = str(mountpoint)
        self._found: dict[tuple[str, str], str] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_again)

    @property
    def lines(self) -> list[str]:
        """For each source and type that was seen the first line of the mount table with them."""
        return list(self._found.values())

    @property
    def kinds(self) -> set[str]:
        """The types that were seen."""
        return {kind for _, kind in self._found}

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        self._look()

    def _look_again(self) -> None:
        while not self._ended.wait(_EVERY):
            self._look()

    def _look(self) -> None:
        for line in Path("/proc/mounts").read_text(errors="surrogateescape").splitlines():
            source, mountpoint, kind, _ = line.split(" ", 3)
            if mountpoint == self._mountpoint:
                self._found.setdefault((source, kind), line)
