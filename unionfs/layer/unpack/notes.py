"""What went on without being an error: a few lines for each layer, however many entries are concerned."""

from enum import StrEnum


class Note(StrEnum):
    """The kinds of note; each appears once per layer, with its first occasion and the number of others."""

    DUPLICATE = "the archive holds it more than once, and the last one counts"
    REPLACED = "it is no directory, but another entry lies in it, so a directory replaces it"
    TRUSTED = "an attribute of the trusted namespace was left out"
    REFUSED = "an extended attribute could not be set"
    OWNERS = "its owner and mode could not be kept, neither as they are nor in an attribute"


class Notes:
    """Collects notes in memory that doesn't grow with their number."""

    def __init__(self) -> None:
        self._first: dict[Note, str] = {}
        self._count: dict[Note, int] = {}

    def add(self, note: Note, where: str) -> None:
        """Note that it happened at *where*, which is shown as it is if it is the first of its kind."""
        self._first.setdefault(note, where)
        self._count[note] = self._count.get(note, 0) + 1

    def lines(self) -> list[str]:
        """Give one sentence for each kind that occurred."""
        return [
            f"{where}: {note}" + (f" (and {self._count[note] - 1} more like it)" if self._count[note] > 1 else "")
            for note, where in self._first.items()
        ]
