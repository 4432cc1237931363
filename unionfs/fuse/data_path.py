"""How content goes between programs and the layers.

Owns what may be chosen of it, and what a mount then gets: not every mount can have every way.
"""

import logging
from dataclasses import dataclass, replace

_log = logging.getLogger(__name__)

# By the geometric mean over reading and writing (docs/performance.md, "Write-back or write-through").
_WRITEBACK_BY_DEFAULT = False


@dataclass(frozen=True, slots=True)
class DataPath:
    """The ways wanted.

    ``writeback``: the kernel gathers what is written and sends it later (FUSE_WRITEBACK_CACHE), so that it owns the
    size and the times of a file; None leaves it to what was measured. ``passthrough``: the kernel reads and writes the
    files of the layers by itself where it can (FUSE_PASSTHROUGH).
    """

    writeback: bool | None = None
    passthrough: bool = False

    def settled(self, *, read_only: bool) -> "DataPath":
        """Give what a mount gets of it: where nothing is written there is nothing to gather."""
        by_default = _WRITEBACK_BY_DEFAULT and not self.passthrough
        writeback = by_default if self.writeback is None else self.writeback
        return replace(self, writeback=writeback and not read_only)

    def log_what_needs_the_protocol(self) -> None:
        """Say what a transport doesn't do that only passes on what pyfuse3 offers."""
        if self.writeback:
            _log.warning("the writeback cache needs the kernel transport: every write is sent at once")
        if self.passthrough:
            _log.warning("content isn't passed through, but cached: it needs the kernel transport")
