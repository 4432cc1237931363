"""Transports: the kernel's FUSE requests on one side, the union on the other, and the policy that they share.

Owns everything that is FUSE: requests, handles, timeouts, errno. The only room that imports pyfuse3 and trio, and only
when a mount is served by them.
"""

from collections.abc import Callable

from unionfs.union import Union


def serve(union: Union, device_fd: int, ready: Callable[[], None]) -> None:
    """Answer the requests on *device_fd*, a mounted FUSE connection, until the mount has ended.

    *ready* is called once the mount answers. *device_fd* is closed at the end.

    Raises:
        OSError: the connection failed.
    """
    # Imported here: the command that only asks for help needs neither trio nor pyfuse3, which take 160 ms.
    from unionfs.fuse.pyfuse3_transport import serve as serve_by_pyfuse3  # noqa: PLC0415

    serve_by_pyfuse3(union, device_fd, ready)
