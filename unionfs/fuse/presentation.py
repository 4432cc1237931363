"""How a mount tells the kernel what the union shows: with which ids, and for how long that holds."""

from typing import NamedTuple

from unionfs.fuse import policy
from unionfs.fuse.id_mapping import IdMapping


class Presentation(NamedTuple):
    """What a mount may choose of it.

    ``timeout``: for how many seconds the kernel may keep names and attributes. None: as long as it likes; 0: not at
    all, so that it asks each time.
    """

    ids: IdMapping = IdMapping()
    timeout: float | None = None

    @property
    def mapped_ids(self) -> IdMapping | None:
        """The mapping of ids, or None where all are shown as they are on disk."""
        return None if self.ids.is_identity else self.ids

    @property
    def seconds(self) -> float:
        """For how many seconds names and attributes hold."""
        return policy.TIMEOUT if self.timeout is None else min(self.timeout, policy.TIMEOUT)


AS_ON_DISK = Presentation()
"""Every id is shown as it is on disk, and all that is said holds."""
