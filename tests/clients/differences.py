"""Where the outcomes with another program differ from ours, and why."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.clients import operations as do
from tests.clients.client import FUSE_OVERLAYFS, KERNEL, Client, Program
from tests.clients.operations import Operation, Result

ROOT, USER = "root", "user"


@dataclass(frozen=True)
class Difference:
    """Some outcomes of an operation, as ``flattened`` names them, that may differ, and the reason."""

    program: Program
    operation: Operation
    outcomes: str
    """A regular expression."""
    reason: str
    users: tuple[str, ...] = (ROOT, USER)
    steady: bool = True
    """It differs each time."""


_TIME = "fuse-overlayfs changes the time of a directory when it copies up a file in it"
_LINKS = "fuse-overlayfs copies up one of the names of a file, and the others are another file then"
_BACK = (
    "fuse-overlayfs forgets sometimes, after a directory was removed and made again, that nothing in it comes from "
    "beneath: podman doesn't see that a file is gone, and it comes back in the image"
)
_UPPER = (
    "for the kernel podman takes what is in the upper, so that a commit has what was copied up without a change, the "
    "parents of everything, and the marks of opaque directories; with a program it compares what both layers show"
)
_COPIED = "overlayfs without its index copies up one of the names of a file; to link it is to copy it up"
_IDS = "podman 4.3 commits the ids of the host where the kernel maps those of the layers"

DIFFERENCES = (
    Difference(FUSE_OVERLAYFS, do.change, r"(shown|layer) /dir/locked", _TIME),
    Difference(FUSE_OVERLAYFS, do.change, r"shown /hard/(one|two|three)", _LINKS),
    Difference(FUSE_OVERLAYFS, do.change, r"diff D /replaced/old|layer /replaced/.wh.old", _BACK, steady=False),
    Difference(FUSE_OVERLAYFS, do.build, r"(shown|layer \d+) (/bin|/dir/sub)", _TIME),
    Difference(FUSE_OVERLAYFS, do.build, r"layer \d+ /replaced/.wh.old|shown /replaced/old", _BACK, steady=False),
    Difference(KERNEL, do.change, r"diff [CD] (/replaced(/old)?|/dir/locked|/hard/one)", _UPPER),
    Difference(KERNEL, do.change, r"layer (/replaced/\.wh\..*|/dir/locked)", _UPPER),
    Difference(KERNEL, do.change, r"(shown|layer) /hard/(one|two|three)", _COPIED),
    Difference(KERNEL, do.look_without_changing, r"(diff C|layer) /untouched(/.*)?", _UPPER),
    Difference(KERNEL, do.build, r"(layer \d+|shown) /run|layer \d+ (/replaced|/made/deep)/\.wh\..*", _UPPER),
    Difference(
        KERNEL, do.build, r"(layer \d+|shown) (/dir|/dir/capable|/made/deep/capable|/hard/(one|three))", _COPIED
    ),
    Difference(KERNEL, do.map_ids, r"layer .*", _IDS, users=(ROOT,)),
)


def flattened(result: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Give each single outcome with its name, such as ``layer 3 /dir/x``."""
    if isinstance(result, Mapping):
        for key, value in result.items():
            yield from flattened(value, f"{name} {key}".strip())
    elif isinstance(result, str):
        yield name, result
    else:
        assert isinstance(result, Sequence)
        for number, value in enumerate(result):
            # The lines that a command printed are outcomes by themselves: one more doesn't change the others.
            yield from [(f"{name} {value}", "")] if isinstance(value, str) else flattened(value, f"{name} {number}")


def unexplained(operation: Operation, user: str, client: Client, ours: Result, theirs: Result) -> list[str]:
    """Say which outcomes differ without a known reason, and which known difference isn't there any more."""
    known = [
        difference
        for difference in DIFFERENCES
        if (difference.program, difference.operation) == (client.program, operation) and user in difference.users
    ]
    one, other = dict(flattened(ours)), dict(flattened(theirs))
    names = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    lines = [
        f"{name}: ours {one.get(name)!r}, {client.program.name} {other.get(name)!r}"
        for name in names
        if not any(re.fullmatch(difference.outcomes, name) for difference in known)
    ]
    lines += [
        f"as with {client.program.name}: {difference.outcomes} ({difference.reason})"
        for difference in known
        if difference.steady and not any(re.fullmatch(difference.outcomes, name) for name in names)
    ]
    return lines
