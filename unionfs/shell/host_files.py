"""The files that tell a command of the machine and its network, which it shares: made of the host's.

It gets copies, so that what it writes there changes neither the host nor the image.
"""

import re
from collections.abc import Iterator
from pathlib import Path

_LARGEST = 1 << 20
_HOSTS = "127.0.0.1\tlocalhost\n"
_NOT_IN_A_HOST_NAME = re.compile(r"[^A-Za-z0-9-]+")
_LONGEST_HOST_NAME = 63


def host_files(host_name: str, host: Path = Path("/etc")) -> tuple[tuple[str, str], ...]:
    """Give the paths and contents of resolv.conf, hosts and hostname for a command on *host_name*.

    Raises:
        OSError: one of the host's is there and can't be read.
    """
    return tuple(_files(host_name, host))


def _files(host_name: str, host: Path) -> Iterator[tuple[str, str]]:
    resolvers = _content(host / "resolv.conf")
    if resolvers is not None:
        yield "/etc/resolv.conf", resolvers
    yield "/etc/hosts", (_content(host / "hosts") or _HOSTS) + f"127.0.1.1\t{host_name}\n"
    yield "/etc/hostname", f"{host_name}\n"


def _content(path: Path) -> str | None:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            content = file.read(_LARGEST)
    except FileNotFoundError:
        return None
    return content if content.endswith("\n") or not content else content + "\n"


def host_name_of(text: str) -> str:
    """Give a host name (RFC 1123) that is like *text*, the name of an image."""
    return _NOT_IN_A_HOST_NAME.sub("-", text)[:_LONGEST_HOST_NAME].strip("-")
