"""Transports: the kernel's FUSE requests on one side, the union on the other, and the policy that they share.

Owns everything that is FUSE: requests, handles, timeouts, errno. The only room that imports pyfuse3 and trio, and only
when a mount is served by them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from unionfs.fuse.data_path import DataPath
from unionfs.fuse.transport import Transport

if TYPE_CHECKING:
    # What reads the options imports this room too, and needs no union for that.
    from unionfs.fuse.presentation import Presentation
    from unionfs.union import Union


def serve(
    union: "Union",
    device_fd: int,
    ready: Callable[[], None],
    transport: Transport,
    data_path: DataPath,
    presentation: "Presentation",
) -> None:
    """Answer the requests on *device_fd*, a mounted FUSE connection, until the mount has ended.

    *transport* is a settled one. *ready* is called once the mount answers. *device_fd* is closed at the end.

    Raises:
        OSError: the connection failed.
    """
    # Imported here: the command that only asks for help needs neither, and trio with pyfuse3 takes 160 ms.
    if transport is Transport.KERNEL:
        from unionfs.fuse.kernel.session import serve as serve_by_protocol  # noqa: PLC0415

        serve_by_protocol(union, device_fd, ready, data_path.settled(read_only=union.is_read_only), presentation)
    else:
        from unionfs.fuse.pyfuse3_transport import serve as serve_by_pyfuse3  # noqa: PLC0415

        data_path.log_what_needs_the_protocol()
        serve_by_pyfuse3(union, device_fd, ready, presentation)


__all__ = ["DataPath", "Transport", "serve"]
