"""How a union behaves: what is decided when it is mounted."""

from typing import NamedTuple


class Settings(NamedTuple):
    """How a union behaves.

    ``redirect``: directories of the layers beneath can be renamed. ``follow_redirects``: redirects are read.
    ``metacopy``: a change of metadata leaves the content beneath. ``volatile``: nothing is synced. ``acl``: access
    lists are kept. ``prefetch``: where files are read in order, or a tree is walked, what comes next is read ahead.
    ``open_files``: how many descriptors of regular files are kept open. ``ino32``: inode numbers have 32 bits.
    """

    redirect: bool = False
    follow_redirects: bool = True
    metacopy: bool = False
    volatile: bool = False
    acl: bool = True
    prefetch: bool = True
    open_files: int = 256
    ino32: bool = False
