"""The ids of a user namespace that an ordinary user makes (user_namespaces(7)).

Owns which there are: the user's own as 0, and after it the ranges that ``/etc/subuid`` and ``/etc/subgid`` grant, where
newuidmap and newgidmap are there to map them; otherwise the one id alone.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable
from typing import NamedTuple

from unionfs.shell.error import ShellError

_PROGRAMS = {"uid": "newuidmap", "gid": "newgidmap"}
_FILES = {"uid": "/etc/subuid", "gid": "/etc/subgid"}
_LAST = 0xFFFFFFFF


class IdRange(NamedTuple):
    """*length* ids that follow one another: the first in the namespace, and the first outside of it."""

    inside: int
    outside: int
    length: int


class IdMaps(NamedTuple):
    """The user and group ids of a namespace."""

    uids: tuple[IdRange, ...]
    gids: tuple[IdRange, ...]

    @property
    def is_one(self) -> bool:
        """Whether there is one user and one group id, so that no owners can be told apart."""
        return sum(ids.length for ids in self.uids) == sum(ids.length for ids in self.gids) == 1


def of_caller() -> IdMaps:
    """Give the ids that the user of this process may have in a namespace.

    Raises:
        OSError: a file that grants ids is there and can't be read.
    """
    uid, gid = os.geteuid(), os.getegid()
    uids, gids = (_granted(kind, uid) for kind in ("uid", "gid"))
    if not uids or not gids or not all(shutil.which(program) for program in _PROGRAMS.values()):
        uids, gids = [], []
    return IdMaps(_with_own(uid, uids), _with_own(gid, gids))


def _granted(kind: str, uid: int) -> list[range]:
    try:
        with open(_FILES[kind], "rb") as file:
            return subordinate_ranges(file.read(), _names(uid))
    except FileNotFoundError:
        return []


def _names(uid: int) -> set[bytes]:
    """Give what may stand for the user in subuid(5)."""
    names = {b"%d" % uid}
    try:
        names.add(os.fsencode(pwd.getpwuid(uid).pw_name))
    except KeyError:
        return names
    return names


def subordinate_ranges(text: bytes, names: Iterable[bytes]) -> list[range]:
    """Give the ranges that *text*, of the form of subuid(5), grants to one of *names*; other lines have no effect."""
    wanted, found = set(names), []
    for line in text.splitlines():
        fields = line.split(b":")
        if len(fields) != 3 or fields[0] not in wanted or not all(field.isdigit() for field in fields[1:]):
            continue
        first, count = int(fields[1]), int(fields[2])
        if count and first + count <= _LAST:
            found.append(range(first, first + count))
    return found


def _with_own(own: int, granted: Iterable[range]) -> tuple[IdRange, ...]:
    """Map 0 to *own*, and from 1 on what is *granted*, without what holds *own* or was granted before."""
    found, taken = [IdRange(0, own, 1)], [range(own, own + 1)]
    for ids in granted:
        if any(ids.start < other.stop and other.start < ids.stop for other in taken):
            continue
        last = found[-1]
        found.append(IdRange(last.inside + last.length, ids.start, len(ids)))
        taken.append(ids)
    return tuple(found)


def write(pid: int, maps: IdMaps) -> None:
    """Give the process *pid*, alone in a user namespace that this user made, its ids.

    Raises:
        ShellError: newuidmap or newgidmap refused. OSError: the kernel did.
    """
    if maps.is_one:
        _write(f"/proc/{pid}/setgroups", "deny")
        for kind, ids in (("uid", maps.uids), ("gid", maps.gids)):
            _write(f"/proc/{pid}/{kind}_map", " ".join(map(str, ids[0])))
        return
    for kind, ids in (("uid", maps.uids), ("gid", maps.gids)):
        words = [_PROGRAMS[kind], str(pid), *(str(number) for entry in ids for number in entry)]
        result = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if result.returncode:
            raise ShellError(f"{words[0]}: {result.stderr.strip() or f'it ended with {result.returncode}'}")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
