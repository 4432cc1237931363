"""A compressed or piped archive, put into a temporary file so that it can be read in any order."""

import errno
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from unionfs.archive.decompress import decompress
from unionfs.archive.stream import CHUNK

if TYPE_CHECKING:
    from unionfs.tar.source import Stream


def spool(stream: "Stream", limit: int) -> int:
    """Return the descriptor of an unnamed file in ``$TMPDIR`` with a stream's decompressed content.

    Raises ArchiveError for a damaged stream or one of more than ``limit`` bytes, and OSError.
    """
    content = decompress(stream, limit)
    with tempfile.TemporaryFile() as file:
        try:
            shutil.copyfileobj(content, file, CHUNK)
            file.flush()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                error.filename = tempfile.gettempdir()
            raise
        return os.dup(file.fileno())
