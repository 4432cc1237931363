"""The command line of fuse-overlayfs: words in, ``MountOptions`` out, for the drop-in ``unionfs-overlay``.

Owns which of its options exist, which are ignored with a word, and which are refused since ignoring them would show
other data. Its language is that of libfuse, which its callers (podman, buildah, docker, containerd, mount(8)) speak;
how ``-o`` is split belongs to ``options``.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from unionfs.fuse.id_mapping import IdMapping
from unionfs.mount.errors import OptionError
from unionfs.mount.options import (
    FLAGS,
    MountOptions,
    RedirectDir,
    check_together,
    chosen,
    split_lowers,
    split_option_string,
    unescaped,
)

TYPE_NAME = "unionfs-overlay"
_DEFAULTS = MountOptions(
    fsname=TYPE_NAME.encode(),
    subtype=TYPE_NAME,
    redirect_dir=RedirectDir.OFF,
    metacopy=False,
    as_fuse_overlayfs=True,
)
_INTEGER = re.compile("[0-9]{1,10}")
# What the kernel's overlayfs knows and this can't do; ignored it would show something else.
_REFUSED: Mapping[str, frozenset[str | None]] = {
    "index": frozenset(("off",)),
    "nfs_export": frozenset(("off",)),
    "uuid": frozenset(("off", "null", "auto")),
    "verity": frozenset(("off",)),
    "plugins": frozenset(("", None)),
    "lowerdir+": frozenset(("", None)),
    "datadir+": frozenset(("", None)),
}
# What changes nothing that is seen, or holds anyway: permissions are the kernel's to check, times of access aren't
# kept, a directory has the link count 1, and how many threads answer is no matter.
_WITHOUT_EFFECT = frozenset((
    "default_permissions", "atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime",
    "nostrictatime", "lazytime", "nolazytime", "async", "dirsync", "auto", "noauto", "user", "users", "nouser",
    "defaults", "_netdev", "nofail", "static_nlink", "threaded", "clone_fd", "max_threads", "max_idle_threads",
    "fast_ino", "noxattrs", "auto_unmount", "big_writes", "splice_read", "splice_write", "splice_move", "subtype",
))  # fmt: skip


class CommandLine(NamedTuple):
    """What a command line asks for."""

    options: MountOptions
    mountpoint: bytes
    foreground: bool
    debug: bool
    writeback: bool | None
    """None: as ``unionfs mount`` decides."""
    ignored: Sequence[str]
    """What isn't known, to be reported."""


def parse_command_line(words: Sequence[str], *, is_root: bool) -> CommandLine:
    """Read the *words* after the program's name.

    For root the mount has set-id programs and devices, and for others never (fusermount3). Of two that aren't options
    the first is the source, as mount(8) gives it, and the last the mountpoint.

    Raises:
        OptionError: an option is malformed or refused, or the mountpoint or the layers are missing.
    """
    reading = _Reading()
    rest = iter(words)
    for word in rest:
        if word.startswith("-o"):
            text = word[2:] or next(rest, None)
            if text is None:
                raise OptionError("-o needs options behind it")
            for name, value in split_option_string(text):
                reading.take(name, value)
        elif word == "--":
            reading.words += rest
        else:
            reading.take_word(word)
    return reading.command_line(is_root=is_root)


class _Reading:
    """The words and options read so far."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.ids: dict[str, Any] = {}
        self.words: list[str] = []
        self.foreground = self.debug = False
        self.writeback: bool | None = None
        self.ignored: list[str] = []

    def take_word(self, word: str) -> None:
        """Take in a word that isn't an argument of ``-o``."""
        if word == "-f":
            self.foreground = True
        elif word in ("-d", "--debug"):
            self.foreground = self.debug = True
        elif word.startswith("-") and word != "-":
            if word != "-s":
                self.ignored.append(word)
        else:
            self.words.append(word)

    def take(self, name: str, value: str | None) -> None:
        """Take in one option, or raise an ``OptionError`` that names it."""
        if name in _REFUSED:
            if value not in _REFUSED[name]:
                raise OptionError(f"option {_shown(name, value)} is refused: it would show other data, and isn't there")
        elif name in _FLAGS:
            field, flag = _FLAGS[name]
            self.fields[field] = flag
        elif name in _READERS:
            _READERS[name](self, name, value or "")
        elif name == "debug":
            self.take_word("-d")
        elif name not in _WITHOUT_EFFECT and not name.startswith(("x-", "comment")):
            self.ignored.append(_shown(name, value))

    def command_line(self, *, is_root: bool) -> CommandLine:
        """Give all that was read.

        Raises:
            OptionError: the mountpoint or the layers are missing, or there are too many words.
        """
        if not 1 <= len(self.words) <= 2:
            wrong = f"one mountpoint is wanted, not {', '.join(self.words)}" if self.words else "no mountpoint is given"
            raise OptionError(wrong)
        if len(self.words) > 1:
            self.fields.setdefault("fsname", os.fsencode(self.words[0]))
        # As overlayfs has it: one without the other is an error only where both are said.
        if self.fields.get("metacopy") and "redirect_dir" not in self.fields:
            self.fields["redirect_dir"] = RedirectDir.ON
        if "upper" not in self.fields:
            self.fields.pop("work", None)
        for flag in ("suid", "dev"):
            self.fields[flag] = is_root and self.fields.get(flag, True)
        options = _DEFAULTS._replace(ids=self._mapping(), **self.fields)
        check_together(options)
        return CommandLine(
            options, os.fsencode(self.words[-1]), self.foreground, self.debug, self.writeback, self.ignored
        )

    def _mapping(self) -> IdMapping:
        try:
            return IdMapping.of(**self.ids)
        except ValueError as error:
            raise OptionError(str(error)) from error

    # One option each.

    def lowers(self, _name: str, value: str) -> None:
        """Take ``lowerdir``: paths as they are, since what looks superfluous in one may lead through a link."""
        self.fields["lowers"] = tuple(split_lowers(value))

    def directory(self, name: str, value: str) -> None:
        """Take ``upperdir`` and ``workdir``."""
        if not value:
            raise OptionError(f"option {name} needs a value")
        self.fields[{"upperdir": "upper", "workdir": "work"}[name]] = unescaped(value)

    def fsname(self, _name: str, value: str) -> None:
        """Take ``fsname``."""
        self.fields["fsname"] = unescaped(value)

    def mapping(self, name: str, value: str) -> None:
        """Take ``uidmapping`` and ``gidmapping``: triples, of which containers' storage begins with a colon."""
        numbers = [_integer(name, token) for token in value.split(":") if token]
        if len(numbers) % 3:
            raise OptionError(f"{name}={value}: must be triples of numbers, separated by colons")
        triples = tuple(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))
        self.ids[{"uidmapping": "uids", "gidmapping": "gids"}[name]] = triples

    def squash(self, name: str, value: str) -> None:
        """Take ``squash_to_uid`` and ``squash_to_gid``."""
        self.ids[name] = _integer(name, value)

    def squash_to_root(self, _name: str, _value: str) -> None:
        """Take ``squash_to_root``, which one id after it or before it goes before."""
        self.ids["squash_to_root"] = True

    def xino(self, name: str, value: str) -> None:
        """Take ``xino``, of which each form gives numbers that stay."""
        _one_of(name, value, ("off", "auto", "on"))

    def durable(self, name: str, value: str) -> None:
        """Take ``fsync`` and ``sync``, of which 0 is volatile; mount(8)'s ``sync`` holds anyway."""
        self.fields["volatile"] = bool(value) and not _integer(name, value)

    def timeout(self, name: str, value: str) -> None:
        """Take ``timeout``, in seconds."""
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < float("inf"):
            raise OptionError(f"{name}={value}: must be a number of seconds")
        self.fields["timeout"] = seconds

    def choice(self, name: str, value: str) -> None:
        """Take ``redirect_dir`` and ``metacopy``."""
        self.fields[name] = chosen(name, value)

    def xattr_permissions(self, name: str, value: str) -> None:
        """Take ``xattr_permissions``: 1 and 2 name the attribute that all owners and modes are kept in."""
        _one_of(name, value, ("0", "1", "2"))
        self.fields["xattr_permissions"] = int(value)

    def context(self, name: str, value: str) -> None:
        """Take a label of SELinux."""
        self.fields["labels"] = (*self.fields.get("labels", ()), (name, value))

    def gather_writes(self, name: str, value: str) -> None:
        """Take ``writeback``."""
        self.writeback = bool(_integer(name, value))


_FLAGS: Mapping[str, tuple[str, bool]] = {**FLAGS, "allow_root": ("allow_other", True), "ino32_t": ("ino32", True)}
_READERS: Mapping[str, Callable[[_Reading, str, str], None]] = {
    "lowerdir": _Reading.lowers,
    "upperdir": _Reading.directory,
    "workdir": _Reading.directory,
    "fsname": _Reading.fsname,
    "uidmapping": _Reading.mapping,
    "gidmapping": _Reading.mapping,
    "squash_to_uid": _Reading.squash,
    "squash_to_gid": _Reading.squash,
    "squash_to_root": _Reading.squash_to_root,
    "xino": _Reading.xino,
    "fsync": _Reading.durable,
    "sync": _Reading.durable,
    "timeout": _Reading.timeout,
    "redirect_dir": _Reading.choice,
    "metacopy": _Reading.choice,
    "xattr_permissions": _Reading.xattr_permissions,
    "context": _Reading.context,
    "fscontext": _Reading.context,
    "defcontext": _Reading.context,
    "rootcontext": _Reading.context,
    "writeback": _Reading.gather_writes,
}


def _shown(name: str, value: str | None) -> str:
    return name if value is None else f"{name}={value}"


def _integer(name: str, value: str) -> int:
    if not _INTEGER.fullmatch(value):
        raise OptionError(f"{name}: {value or 'nothing'} isn't a number")
    return int(value)


def _one_of(name: str, value: str, choices: Iterable[str]) -> None:
    if value not in choices:
        raise OptionError(f"{name}={value}: must be one of {', '.join(choices)}")
