"""The language of ``-o``: text in, a frozen ``MountOptions`` out.

Follows mount(8) for commas and quotes and the kernel's overlayfs for the names. No option that changes what
the mount shows is ever ignored: it is honoured or refused by name. Knows no directory: whether a path
exists is found when it is opened.
"""

import enum
import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from unionfs.fuse.id_mapping import IdMapping
from unionfs.mount.errors import OptionError


class RedirectDir(enum.Enum):
    """What overlayfs' ``redirect_dir`` says of renamed directories; all but NOFOLLOW follow what is there."""

    ON = "on"
    OFF = "off"
    FOLLOW = "follow"
    NOFOLLOW = "nofollow"


class GraftOption(NamedTuple):
    """Another stack of layers, shown in the place of a directory of the lowers."""

    path: bytes
    """From the mount's root, without a slash before or behind."""
    lowers: tuple[bytes, ...]
    """The directories of its layers, the topmost first."""


class MountOptions(NamedTuple):
    """What ``unionfs mount`` was asked for; paths are as given, relative to where the program was started."""

    lowers: tuple[bytes, ...] = ()
    """The lower directories, the topmost first."""
    upper: bytes | None = None
    work: bytes | None = None
    redirect_dir: RedirectDir | None = None
    """None: decided by what the upper can hold."""
    metacopy: bool | None = None
    """None: decided by what the upper can hold."""
    userxattr: bool = False
    """Marks lie under ``user.overlay.`` even where ``trusted.overlay.`` could be written."""
    volatile: bool = False
    discards: bool = False
    """The upper is thrown away afterwards: with ``volatile`` nothing of it is ever synced, at the end neither."""
    acl: bool = True
    read_only: bool = False
    allow_other: bool | None = None
    """None: allowed when root mounts."""
    suid: bool = False
    dev: bool = False
    exec_: bool = True
    fsname: bytes = b"unionfs"
    prefetch: bool = True
    """Files that are likely to be read next are read ahead."""
    ids: IdMapping = IdMapping()
    """What the ids of owners on disk are shown as."""
    ino32: bool = False
    """Inode numbers have 32 bits."""
    timeout: float | None = None
    """For how many seconds the kernel may keep names and attributes; None: for ever."""
    subtype: str = "unionfs"
    """The mount table shows ``fuse.SUBTYPE`` as the type."""
    as_fuse_overlayfs: bool = False
    """What fuse-overlayfs's callers expect: owners that can't be set are refused, directories that hide what is beneath
    have a marker file too, and an upper left over by a volatile mount that was killed is taken."""
    prefix_whiteouts: bool = False
    """Whiteouts are ``.wh.`` files."""
    xattr_permissions: int = 0
    """1 or 2: all owners, modes and devices are kept in an attribute, ``security.`` or ``user.``."""
    labels: tuple[tuple[str, str], ...] = ()
    """Names and values of SELinux's mount options."""
    grafts: tuple[GraftOption, ...] = ()
    """What shows in the place of directories; no option of ``-o``, and never with an upper."""

    @property
    def writable(self) -> bool:
        """Whether the mount takes changes: there is an upper, and ``ro`` wasn't asked for."""
        return self.upper is not None and not self.read_only


Setting = tuple[str, str | None]
"""An option's name and its value, which is None without ``=`` and still holds its escapes."""

FLAGS: Mapping[str, tuple[str, bool]] = {
    "ro": ("read_only", True),
    "rw": ("read_only", False),
    "suid": ("suid", True),
    "nosuid": ("suid", False),
    "dev": ("dev", True),
    "nodev": ("dev", False),
    "exec": ("exec_", True),
    "noexec": ("exec_", False),
    "acl": ("acl", True),
    "noacl": ("acl", False),
    "allow_other": ("allow_other", True),
    "userxattr": ("userxattr", True),
    "volatile": ("volatile", True),
}
"""Options without a value: the field of ``MountOptions`` that they set, and to what."""
_CHOICES: Mapping[str, Mapping[str, RedirectDir | bool]] = {
    "redirect_dir": {choice.value: choice for choice in RedirectDir},
    "metacopy": {"on": True, "off": False},
}
_ALREADY_SO: Mapping[str, tuple[str | None, ...]] = {
    "default_permissions": (None,),
    "noatime": (None,),
    "nodiratime": (None,),
    "relatime": (None,),
    "xino": ("on", "off", "auto"),
    "index": ("off",),
    "nfs_export": ("off",),
    "uuid": ("off", "null", "auto"),
    "verity": ("off",),
}
_REFUSED: Mapping[str, str] = {
    "index": "hard links are kept by an index of unionfs' own, not by the one of overlayfs",
    "nfs_export": "a FUSE mount of this kind can't be exported by NFS",
    "uuid": "no UUID is stored in the upper",
    "verity": "fs-verity digests aren't checked",
    "datadir+": "data-only layers aren't supported",
}


def split_option_string(text: str) -> list[Setting]:
    """Split the argument of one ``-o`` at the commas that stand outside quotes and aren't escaped.

    A value is quoted when it starts with ``"``: it goes on to the next ``"`` without a backslash. Names are
    never quoted, and empty elements are skipped, as in mount(8).

    Raises:
        OptionError: a quote that isn't closed, or is closed in the middle of a value; a value without a name.
    """
    settings = []
    while text:
        end = _end_of_option(text)
        name, equals, value = text[:end].partition("=")
        text = text[end + 1 :]
        if equals and not name:
            raise OptionError(f"an option has no name: ={value}")
        if name:
            settings.append((name, _unquoted(name, value) if equals else None))
    return settings


def _end_of_option(text: str) -> int:
    quoted = escaped = False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted and text[:position].find("=") == position - 1
        elif character == "," and not quoted:
            return position
    if quoted:
        raise OptionError(f"the quote after {text.partition('=')[0]}= isn't closed")
    return len(text)


def _unquoted(name: str, value: str) -> str:
    if not value.startswith('"'):
        return value
    if not value.endswith('"'):
        raise OptionError(f"only a comma may follow the closing quote of {name}=")
    return value[1:-1]


def _split_unescaped(text: str, separator: str) -> list[str]:
    parts = [""]
    escaped = False
    for character in text:
        if character == separator and not escaped:
            parts.append("")
        else:
            parts[-1] += character
        escaped = character == "\\" and not escaped
    return parts


def unescaped(text: str) -> bytes:
    """Give the path that *text* spells.

    A backslash before a colon, comma, quote or backslash is taken away; before others it stands for itself.
    """
    result = ""
    escaped = False
    for character in text:
        if escaped:
            result += character if character in ':,\\"' else "\\" + character
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            result += character
    return os.fsencode(result + "\\" * escaped)


def split_lowers(value: str) -> list[bytes]:
    """Split a ``lowerdir=`` value at its colons, topmost first.

    Raises:
        OptionError: an empty element, which includes the ``::`` before overlayfs' data-only layers.
    """
    elements = _split_unescaped(value, ":")
    if "" in elements[1:-1]:
        raise OptionError("lowerdir: '::' (data-only layers) isn't supported")
    if "" in elements:
        raise OptionError("lowerdir: an element is empty")
    return [unescaped(element) for element in elements]


class _Reading:
    """The options read so far."""

    def __init__(self) -> None:
        self.lowers: list[bytes] = []
        self.fields: dict[str, Any] = {}
        self._paths_given: set[str] = set()

    def take(self, name: str, value: str | None) -> None:
        """Take in one option, or raise an ``OptionError`` that names it."""
        if name in ("lowerdir", "upperdir", "workdir", "lowerdir+", "fsname"):
            self._take_text(name, _needed(name, value))
        elif name in FLAGS:
            if value is not None:
                raise OptionError(f"option {name} takes no value")
            field, flag = FLAGS[name]
            self.fields[field] = flag
        elif name in _CHOICES:
            self.fields[name] = chosen(name, _needed(name, value))
        elif name in _ALREADY_SO or name in _REFUSED:
            _check_accepted(name, value)
        else:
            raise OptionError(f"unknown option: {name}")

    def _take_text(self, name: str, value: str) -> None:
        if name in ("lowerdir", "upperdir", "workdir"):
            if name in self._paths_given:
                raise OptionError(f"{name} is given twice")
            self._paths_given.add(name)
        if name == "lowerdir":
            self.lowers += split_lowers(value)
        elif name == "lowerdir+":
            self.lowers.append(unescaped(value))
        else:
            self.fields[{"upperdir": "upper", "workdir": "work"}.get(name, name)] = unescaped(value)


def _needed(name: str, value: str | None) -> str:
    if not value:
        raise OptionError(f"option {name} needs a value")
    return value


def chosen(name: str, value: str) -> RedirectDir | bool:
    """Give what *value* means as that of ``redirect_dir`` or ``metacopy``.

    Raises:
        OptionError: it is none that overlayfs has.
    """
    choices = _CHOICES[name]
    if value not in choices:
        raise OptionError(f"{name}={value}: must be one of {', '.join(choices)}")
    return choices[value]


def _check_accepted(name: str, value: str | None) -> None:
    accepted = _ALREADY_SO.get(name, ())
    if value in accepted:
        return
    shown = name if value is None else f"{name}={value}"
    if name in _REFUSED:
        raise OptionError(f"option {shown} is refused: {_REFUSED[name]}")
    if None in accepted:
        raise OptionError(f"option {name} takes no value")
    raise OptionError(f"{shown}: must be one of {', '.join(map(str, accepted))}")


def parse_settings(settings: Iterable[Setting]) -> MountOptions:
    """Make ``MountOptions`` of *settings*, read in order: of two that contradict the later holds.

    ``lowerdir+`` adds one directory below those before it, its value being one path rather than a list.

    Raises:
        OptionError: an option is unknown, malformed, refused, in conflict, or given twice where only one
        can hold.
    """
    options = read_settings(settings)
    check_together(options)
    return options


def read_settings(settings: Iterable[Setting]) -> MountOptions:
    """Make ``MountOptions`` of *settings* that others are to be added to: whether they can hold together isn't known.

    Raises:
        OptionError: as ``parse_settings``, but for those in conflict.
    """
    reading = _Reading()
    for name, value in settings:
        reading.take(name, value)
    return MountOptions(lowers=tuple(reading.lowers), **reading.fields)


def check_together(options: MountOptions) -> None:
    """Refuse options that can't hold together.

    Raises:
        OptionError: what is missing, or contradicts something else.
    """
    if not options.lowers and options.upper is None:
        raise OptionError("nothing to mount: give lowerdir, or upperdir and workdir")
    if options.upper is not None and options.work is None:
        raise OptionError("workdir not specified: an upperdir needs a workdir on the same file system")
    if options.work is not None and options.upper is None:
        raise OptionError("workdir is given without upperdir")
    if options.metacopy and options.upper is not None and options.redirect_dir not in (None, RedirectDir.ON):
        raise OptionError(f"conflicting options: metacopy=on,redirect_dir={options.redirect_dir.value}")
