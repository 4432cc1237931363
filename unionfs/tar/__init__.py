"""Tar streams: headers, PAX and GNU extensions, sparse files. Bytes in, values out, and back.

Owns how a tar archive is encoded. Knows no file system: what a name may be, what a whiteout is and where an
entry goes is the layer's business. Imports nothing else of this project.
"""

from unionfs.tar.entry import Entry, Kind
from unionfs.tar.errors import LimitError, TarError, printable
from unionfs.tar.limits import Limits
from unionfs.tar.reader import Reader
from unionfs.tar.writer import Writer

__all__ = ["Entry", "Kind", "LimitError", "Limits", "Reader", "TarError", "Writer", "printable"]
