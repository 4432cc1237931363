"""Whether two open files of layers hold the same."""

import os

_PIECE = 1 << 20


def have_same_content(one: int, other: int) -> bool:
    """Compare the files behind two descriptors, piece by piece.

    Raises:
        OSError: one can't be read.
    """
    offset = 0
    while True:
        piece = os.pread(one, _PIECE, offset)
        if piece != os.pread(other, _PIECE, offset):
            return False
        if not piece:
            return True
        offset += len(piece)
