"""The directory a row works in, and what lies beneath it in each layer."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.filesystems import FileSystem, Mounted
from tests.posix.table import Row


@dataclass(frozen=True)
class Place:
    """A row's own part of a mounted stack."""

    row: Row
    stack: Mounted
    part: str
    """The row's directory within the stack, ``.`` where the mount is its own."""

    @property
    def path(self) -> Path:
        """The row's directory as the mount shows it."""
        return self.stack.root / self.part

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def names(self, name: str = ".") -> list[str]:
        """Return the sorted names that a directory of the row lists."""
        return sorted(os.listdir(self.path / name))

    @property
    def filesystem(self) -> FileSystem:
        """The file system under test."""
        return self.stack.filesystem

    def is_on(self, family: str) -> bool:
        """Tell whether the file system bears this name."""
        return family in self.filesystem.families

    @property
    def expected(self) -> object:
        """What the row says of this file system."""
        for family in (*self.filesystem.families, "default"):
            if family in self.row.expected:
                return self.row.expected[family]
        raise LookupError(f"the row expects nothing of {self.filesystem.name}")

    @property
    def upper(self) -> Path:
        """The row's directory in the upper layer."""
        if self.stack.upper is None:
            raise LookupError("this stack has no upper layer")
        return self.stack.upper / self.part

    @property
    def lowers(self) -> Mapping[str, Path]:
        """The row's directory in the lower layers named bottom, middle and top."""
        lowers = self.stack.lowers
        return {
            "top": lowers[0] / self.part,
            "middle": lowers[len(lowers) // 2] / self.part,
            "bottom": lowers[-1] / self.part,
        }

    def is_in_upper(self, name: str) -> bool:
        """Tell whether the upper layer holds anything under this name."""
        return os.path.lexists(self.upper / name)

    def remount(self) -> None:
        """Mount the stack anew, so that what is seen comes from the disk."""
        if not self.row.own:
            raise LookupError("only a row with its own mount may remount it")
        if self.stack.lowers:
            self.stack.remount()
