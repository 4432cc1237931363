"""Extension headers: PAX ``x`` and ``g``, GNU ``L`` and ``K``, and how they change the entry after them.

Sources: POSIX.1 pax, "pax Header Block"; GNU tar manual, "Extensions to the Archive Format".
"""

from dataclasses import dataclass, field
from typing import Any

from unionfs.tar import pax
from unionfs.tar.errors import LimitError, TarError
from unionfs.tar.header import file_size

FLAGS = (b"x", b"g", b"L", b"K")
_CHAIN = 32  # three are ever needed; global ones may stand between them


@dataclass(slots=True)
class Extensions:
    """What the extension headers before one entry said; of two of a kind the later holds."""

    pairs: list[tuple[bytes, bytes]] = field(default_factory=list)
    values: dict[bytes, bytes] = field(default_factory=dict)
    name: bytes = b""
    linkname: bytes = b""
    pending: bool = False
    """Whether an entry has to follow."""
    headers: int = 0
    size: int = 0

    def admit(self, size: int, limit: int) -> None:
        """Count one more header with a payload of ``size`` bytes; raise TarError where that is too much."""
        self.headers += 1
        self.size += size
        if self.headers > _CHAIN:
            raise TarError(f"more than {_CHAIN} extension headers stand before one entry")
        if self.size > limit:
            raise LimitError("the size of its extension headers", "pax_record", limit)

    def add(self, flag: bytes, payload: bytes) -> None:
        """Take in the payload of a header of type ``flag``; raise TarError if it is malformed."""
        if flag == b"g":
            # Checked, but without effect: no image tool applies global records to the entries of a layer.
            pax.records(payload)
            return
        self.pending = True
        if flag == b"x":
            self.pairs = pax.records(payload)
            self.values = dict(self.pairs)
        elif flag == b"L":
            self.name = payload.partition(b"\0")[0]
        else:
            self.linkname = payload.partition(b"\0")[0]

    def overrides(self) -> dict[str, Any]:
        """Return the fields of an ``Entry`` that are replaced: names, owners, times, extended attributes."""
        fields = pax.overrides(self.values)
        # A sparse file's path is made up, for readers that don't know sparse files.
        name = pax.name(self.values.get(b"GNU.sparse.name", b""), "GNU.sparse.name") or self.name
        if name:
            fields["name"] = name
        if self.linkname:
            fields["linkname"] = self.linkname
        return fields

    def stored(self, size: int) -> int:
        """Return the bytes of content in the archive: the PAX ``size``, or else the header's."""
        value = self.values.get(b"size")
        return file_size(pax.decimal(value, "size")) if value else size
