"""What the union shows of an inode, as answers: with the mount's ids, and for as long as it holds."""

from unionfs.fuse.kernel import codec
from unionfs.fuse.kernel.codec import NOT_AT_ALL, Validity
from unionfs.fuse.presentation import Presentation
from unionfs.layer.attributes import Attributes

# As long as the kernel takes to open what it has just made.
_MOMENT = Validity(0, 10_000_000)


class Replies:
    """The answers of one connection that tell attributes.

    *changing* are the inodes whose attributes change without the daemon's knowledge: they can't be kept.
    """

    def __init__(self, presentation: Presentation, changing: set[int]) -> None:
        self._changing = changing
        self._ids = presentation.mapped_ids
        self._valid = Validity.of(presentation.seconds)
        self._moment = min(_MOMENT, self._valid)
        self.absent = codec.absent_reply(self._valid)

    def _attr_valid(self, number: int) -> Validity:
        return NOT_AT_ALL if number in self._changing else self._valid

    def entry(self, shown: Attributes) -> bytes:
        """Answer with an inode that the kernel may refer to from now on."""
        return codec.entry_reply(shown, self._valid, self._attr_valid(shown.ino), self._ids)

    def made_and_opened(self, shown: Attributes) -> bytes:
        """Answer with an inode as ``entry`` does, at which the kernel looks once more before anything can change."""
        attr_valid = self._moment if shown.ino in self._changing else self._valid
        return codec.entry_reply(shown, self._valid, attr_valid, self._ids)

    def attr(self, shown: Attributes) -> bytes:
        """Answer with attributes."""
        return codec.attr_reply(shown, self._attr_valid(shown.ino), self._ids)

    def statx(self, shown: Attributes, birth_ns: int | None) -> bytes:
        """Answer with attributes and the time of birth, where that is known."""
        return codec.statx_reply(shown, birth_ns, self._attr_valid(shown.ino), self._ids)
