"""How much an archive may hold before it is refused."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds on one archive; each is checked before the memory or disk it guards is used."""

    pax_record: int = 1 << 20
    """Bytes of all PAX records and GNU long names before one entry together."""

    entries: int = 2_000_000
    """Entries of the archive, extension headers not counted."""

    bytes: int = 64 << 30
    """Bytes of file content that would be written; the holes of sparse files don't count."""

    sparse_extents: int = 1 << 18
    """Extents in the map of one sparse file."""

    trailing: int = 1 << 30
    """Bytes after the end-of-archive blocks, which are read for the digest alone."""

    depth: int = 1024
    """Directories that the path of an entry may go through; the reader leaves it to whoever makes them."""
