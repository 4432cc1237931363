"""What an upper file records of the lower file that it was copied up from, so that a later mount shows the same.

Owns the text of the mark: the inode number that the mount shows, and, for a lower file with several names, the
index's key and how many names those are. It is kept under a private name, since overlayfs's own origin is a file
handle that only it may write.
"""

import re
from typing import NamedTuple, Self

_TEXT = re.compile(rb"([0-9]{1,20})(?::([0-9a-z-]{1,400}):([0-9]{1,10}))?")


class Origin(NamedTuple):
    """Number shown, index key, and link count of the lower."""

    number: int
    link_key: bytes | None = None
    links: int = 0

    @classmethod
    def parse(cls, text: bytes | None) -> Self | None:
        """Read the mark; one that doesn't follow the grammar has no effect."""
        match = None if text is None else _TEXT.fullmatch(text)
        if match is None:
            return None
        number, key, links = match.groups()
        return cls(int(number), key, int(links or 0))

    def text(self) -> bytes:
        """Give the mark's value."""
        value = b"%d" % self.number
        return value if self.link_key is None else value + b":%s:%d" % (self.link_key, self.links)
