"""Names of images: ``[domain/]path[:tag][@digest]``, brought to their full form as docker does it.

It owns the grammar of the distribution project's reference package and the rules by which ``foo`` means
``docker.io/library/foo:latest``. It doesn't know what a name stands for.
"""

import re
from dataclasses import dataclass
from typing import Self

from unionfs.image.digest import Digest
from unionfs.image.error import ImageError, escaped, shown

_DEFAULT_DOMAIN = "docker.io"
_LEGACY_DOMAIN = "index.docker.io"
_OFFICIAL = "library/"
_DEFAULT_TAG = "latest"
_MAX_PATH = 255

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?P<domain>{_DOMAIN})/(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?"
)
_ONLY_TAG = re.compile(_TAG)
_IDENTIFIER = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A full name; a reference without a digest always has a tag."""

    domain: str
    path: str
    tag: str | None
    digest: Digest | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the full form of a name as a user or an archive gives it.

        Raises ImageError in docker's words; 64 hex digits are an image's id and so refused as a name.
        """
        if _IDENTIFIER.fullmatch(text):
            raise ImageError(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
        domain, remainder = _split(text)
        name = remainder.partition(":")[0].partition("@")[0]
        if name.lower() != name:
            raise ImageError(f"invalid reference format: repository name ({escaped(name)}) must be lowercase")
        match = _REFERENCE.fullmatch(f"{domain}/{remainder}")
        if match is None:
            raise ImageError(f"invalid reference format: {shown(text)}")
        if len(match["path"]) > _MAX_PATH:
            path = shown(match["path"])
            raise ImageError(f"repository name must not be more than {_MAX_PATH} characters: {path}")
        digest = Digest.parse(match["digest"]) if match["digest"] else None
        tag: str | None = match["tag"]
        if tag is None and digest is None:
            tag = _DEFAULT_TAG
        return cls(match["domain"], match["path"], tag, digest)

    @property
    def repository(self) -> str:
        """The name without tag and digest, domain included."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar(self) -> str:
        """The name as docker displays it: without ``docker.io/`` and an official image's ``library/``."""
        full = str(self)
        if self.domain != _DEFAULT_DOMAIN:
            return full
        short = full.removeprefix(_DEFAULT_DOMAIN + "/")
        official = short.removeprefix(_OFFICIAL)
        return short if "/" in self.path.removeprefix(_OFFICIAL) else official

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def is_tag(text: str) -> bool:
    """Return whether ``text`` is by itself a valid tag."""
    return _ONLY_TAG.fullmatch(text) is not None


def _split(text: str) -> tuple[str, str]:
    """Split into domain and the rest; the first part is a domain only if it can't be part of a path."""
    first, slash, rest = text.partition("/")
    if slash and (set(first) & set(".:") or first == "localhost" or first.lower() != first):
        domain, remainder = first, rest
    else:
        domain, remainder = _DEFAULT_DOMAIN, text
    if domain == _LEGACY_DOMAIN:
        domain = _DEFAULT_DOMAIN
    if domain == _DEFAULT_DOMAIN and "/" not in remainder:
        remainder = _OFFICIAL + remainder
    return domain, remainder
