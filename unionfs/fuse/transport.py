"""Which transport serves a mount.

Owns the choice, made before anything is mounted: once the kernel has sent its first message, INIT, no other transport
can take the connection over.
"""

import enum
import errno
import logging
import re

_log = logging.getLogger(__name__)

# From this Linux on the kernel's protocol is one that the transport of our own speaks (FUSE 7.31). The protocol's
# version follows the kernel's, and the kernel says it nowhere else but in INIT.
_OLDEST_LINUX = (5, 4)


class Transport(enum.Enum):
    """How the kernel's requests are read and answered; AUTO takes the kernel's protocol where it can."""

    AUTO = "auto"
    KERNEL = "kernel"
    PYFUSE3 = "pyfuse3"

    def settled(self, release: str) -> "Transport":
        """Give the transport that serves on Linux *release*, as uname(2) tells it; falling back is logged.

        Raises:
            OSError: EPROTO where the kernel's protocol is asked for by name and is too old there.
        """
        if self is Transport.PYFUSE3:
            return self
        if _linux(release) >= _OLDEST_LINUX:
            return Transport.KERNEL
        reason = f"the kernel transport needs Linux {'.'.join(map(str, _OLDEST_LINUX))}, and this is {release}"
        if self is Transport.KERNEL:
            raise OSError(errno.EPROTO, reason)
        _log.warning("%s: serving through pyfuse3", reason)
        return Transport.PYFUSE3


def _linux(release: str) -> tuple[int, int]:
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
