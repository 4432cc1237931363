"""How content goes between programs and the layers.

Owns what may be chosen of it, and what a mount then gets: not every mount can have every way.
"""

import logging
from typing import NamedTuple

_log = logging.getLogger(__name__)

# Each by the geometric mean over reading and writing (docs/performance.md, "Write-back or write-through"). A mount that
# takes no changes gains nothing by passing through, and loses that opening a file asks nobody.
_WRITEBACK_BY_DEFAULT = False
_PASSTHROUGH_BY_DEFAULT = True


class DataPath(NamedTuple):
    """The ways wanted.

    ``writeback``: the kernel gathers what is written and sends it later (FUSE_WRITEBACK_CACHE), so that it owns the
    size and the times of a file. ``passthrough``: the kernel reads and writes the files of the layers by itself where
    it can (FUSE_PASSTHROUGH). None leaves it to what was measured; what isn't had then is no news (``silent``).
    """

    writeback: bool | None = None
    passthrough: bool | None = None
    silent: bool = False

    def settled(self, *, read_only: bool) -> "DataPath":
        """Give what a mount is to try of it: where nothing is written there is nothing to gather."""
        writeback, passthrough = self.writeback, self.passthrough
        if writeback is None:
            writeback = _WRITEBACK_BY_DEFAULT and not passthrough
        writeback = writeback and not read_only
        if passthrough is None:
            passthrough = _PASSTHROUGH_BY_DEFAULT and not read_only and not writeback
        return self._replace(writeback=writeback, passthrough=passthrough, silent=self.passthrough is None)

    def log_what_needs_the_protocol(self) -> None:
        """Say what a transport doesn't do that only passes on what pyfuse3 offers."""
        if self.writeback:
            _log.warning("the writeback cache needs the kernel transport: every write is sent at once")
        if self.passthrough:
            _log.warning("content isn't passed through, but cached: it needs the kernel transport")
