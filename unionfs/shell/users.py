"""Who a command runs as: the ``User`` of an image's config, looked up in the image's own passwd and group files.

Follows the image-spec ("config", User) and docker. Pure but for the reader that it is given; nothing that can't be
understood is ever taken for root.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from unionfs.shell.error import ShellError

_USERS = "/etc/passwd"
_GROUPS = "/etc/group"
_LAST_ID = 0xFFFFFFFE  # one more, (uid_t) -1, means no id
_NUMERIC = re.compile(r"[-+0-9]")


class Identity(NamedTuple):
    """The ids of a process, and the home directory of its user."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


class _User(NamedTuple):
    name: str
    uid: int
    gid: int
    home: str


class _Group(NamedTuple):
    name: str
    gid: int
    members: tuple[str, ...]


def identify(user: str, read: Callable[[str], bytes]) -> Identity:
    """Give who *user* is (``name``, ``uid``, ``name:group``, ``uid:gid``, ...; empty: root).

    *read* gives the content of a file of the root, empty where there is none. As with docker an unknown number is
    fine and has group 0, and a group that is named stands for all others.

    Raises:
        ShellError: a name that isn't there, or a number that is no id. OSError: what *read* raises.
    """
    name, colon, group = user.partition(":")
    if colon and not (name and group):
        raise ShellError(f"the user {_quoted(user)} has an empty part")
    found = _find_user(name or "0", list(_users(read(_USERS))))
    if colon:
        return Identity(found.uid, _find_group(group, read), (), found.home)
    groups = (entry.gid for entry in _groups(read(_GROUPS)) if found.name and found.name in entry.members)
    return Identity(found.uid, found.gid, tuple(dict.fromkeys(groups)), found.home)


def _find_user(wanted: str, users: list[_User]) -> _User:
    uid = _number(wanted, "user")
    found = (entry for entry in users if (entry.name == wanted if uid is None else entry.uid == uid))
    match = next(found, None)
    if match is not None:
        return match
    if uid is None:
        raise ShellError(f"unable to find user {_quoted(wanted)}: no matching entries in passwd file")
    return _User("", uid, 0, "/")


def _find_group(wanted: str, read: Callable[[str], bytes]) -> int:
    gid = _number(wanted, "group")
    if gid is not None:
        return gid
    found = (entry.gid for entry in _groups(read(_GROUPS)) if entry.name == wanted)
    match = next(found, None)
    if match is None:
        raise ShellError(f"unable to find group {_quoted(wanted)}: no matching entries in group file")
    return match


def _number(text: str, what: str) -> int | None:
    """Give the id that *text* is, or None for a name; what looks like a number must be one."""
    if not _NUMERIC.match(text):
        return None
    number = _id(text)
    if number is None:
        raise ShellError(f"the {what} {_quoted(text)} is no id: it must be a decimal number up to {_LAST_ID}")
    return number


def _users(content: bytes) -> Iterator[_User]:
    for fields in _lines(content, 7):
        uid, gid = _id(fields[2]), _id(fields[3])
        if uid is not None and gid is not None:
            yield _User(fields[0], uid, gid, fields[5] or "/")


def _groups(content: bytes) -> Iterator[_Group]:
    for fields in _lines(content, 4):
        gid = _id(fields[2])
        if gid is not None:
            yield _Group(fields[0], gid, tuple(fields[3].split(",")))


def _lines(content: bytes, count: int) -> Iterator[list[str]]:
    """Give the fields of lines of passwd(5) or group(5); what is no such line has no effect, as in the C library."""
    for line in content.decode(errors="surrogateescape").split("\n"):
        fields = line.strip().split(":")
        if len(fields) == count and fields[0]:
            yield fields


def _id(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 else _LAST_ID + 1
    return number if number <= _LAST_ID else None


def _quoted(text: str) -> str:
    return '"' + text[:64] + '"'
