"""Content digests: the grammar of the image-spec's descriptor document, sha256 and sha512.

A ``Digest`` that exists is valid, so its text may become part of a path.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from unionfs.image.error import ImageError, shown

_HEX_LENGTH = {"sha256": 64, "sha512": 128}
_ALGORITHM = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*")
_LOWER_HEX = re.compile(r"[0-9a-f]*")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """An algorithm and a hash in lower-case hex. Making one raises ImageError unless both are valid."""

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        text = shown(f"{self.algorithm}:{self.hex}")
        if not _ALGORITHM.fullmatch(self.algorithm) or not self.hex:
            raise ImageError(f"invalid checksum digest format: {text}")
        length = _HEX_LENGTH.get(self.algorithm)
        if length is None:
            raise ImageError(f"unsupported digest algorithm in {text}: only sha256 and sha512 are supported")
        if not _LOWER_HEX.fullmatch(self.hex):
            raise ImageError(f"invalid checksum digest format: {text}")
        if len(self.hex) != length:
            raise ImageError(f"invalid checksum digest length: {text}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the digest written as ``algorithm:hex``; raises ImageError."""
        algorithm, colon, encoded = text.partition(":")
        if not colon:
            raise ImageError(f"invalid checksum digest format: {shown(text)}")
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Self:
        """Return the digest of ``content``."""
        return cls(algorithm, hashlib.new(algorithm, content).hexdigest())

    def hasher(self) -> "hashlib._Hash":
        """Return a fresh hash object of this digest's algorithm."""
        return hashlib.new(self.algorithm)

    def matches(self, content: bytes) -> bool:
        """Return whether ``content`` has this digest."""
        return hashlib.new(self.algorithm, content).hexdigest() == self.hex

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"
