"""Dockerfile instructions that change how an image is run: what ``commit`` and ``import`` take as ``--change``.

It owns their syntax, which is that of the Dockerfile reference or, as podman has it, ``KEY=value``. The result is the
``config`` object of an image config with the fields changed; everything else in it stays.
"""

import posixpath
import re
import signal
from collections.abc import Callable, Mapping, Sequence

from unionfs.image.dockerfile_words import expanded, words
from unionfs.image.error import ImageError, escaped, shown
from unionfs.image.strict_json import Fields, parse

_INSTRUCTION = re.compile(r"\s*(?P<name>[A-Za-z]+)(?:[\s=]\s*(?P<rest>.*?))?\s*")
_PORTS = re.compile(r"(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?(?:/(?P<protocol>tcp|udp|sctp))?", re.IGNORECASE)
_TRIGGERS = frozenset(
    {"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "RUN", "SHELL"}
    | {"STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
)
_DEFAULT_SHELL = ("/bin/sh", "-c")
_MAX_SIGNAL = 64


def changed(execution: Mapping[str, object], instructions: Sequence[str]) -> dict[str, object]:
    """Return the ``config`` object ``execution`` as ``instructions`` change it, one after another.

    Raises ImageError, naming the instruction, for one that is unknown or can't be understood.
    """
    draft = _Draft(execution)
    for text in instructions:
        try:
            draft.apply(text)
        except ImageError as error:
            raise ImageError(f"invalid change {shown(text)}: {error}") from None
    return draft.fields


class _Draft:
    """The object in the making; whether CMD was among the instructions decides what ENTRYPOINT does."""

    def __init__(self, execution: Mapping[str, object]) -> None:
        self.fields = dict(execution)
        self._has_cmd = False

    def apply(self, text: str) -> None:
        match = _INSTRUCTION.fullmatch(text)
        if match is None:
            raise ImageError("it must be one line, an instruction and its arguments")
        name = match["name"].upper()
        if name not in _INSTRUCTIONS:
            raise ImageError(f"{name} is none of {', '.join(_INSTRUCTIONS)}")
        if not match["rest"]:
            raise ImageError(f"{name} has no arguments")
        _INSTRUCTIONS[name](self, match["rest"])

    def cmd(self, rest: str) -> None:
        self._put("Cmd", self._command(rest))
        self._has_cmd = True

    def entrypoint(self, rest: str) -> None:
        """Set the entrypoint; what the parent passes to its own one means nothing to this one (docker's rule)."""
        self._put("Entrypoint", self._command(rest))
        if not self._has_cmd:
            self._put("Cmd", [])

    def env(self, rest: str) -> None:
        entries = [(entry.partition("=")[0], entry) for entry in self._now.texts("Env")]
        for name, value in self._pairs(rest, "ENV"):
            entry = name, f"{name}={value}"
            place = [number for number, (known, _) in enumerate(entries) if known == name]
            if place:
                entries[place[0]] = entry
                entries = [other for number, other in enumerate(entries) if number not in place[1:]]
            else:
                entries.append(entry)
        self._put("Env", [entry for _, entry in entries])

    def label(self, rest: str) -> None:
        self._put("Labels", self._now.text_map("Labels") | dict(self._pairs(rest, "LABEL")))

    def expose(self, rest: str) -> None:
        ports = [port for word in words(rest) for port in _ports(self._expanded(word))]
        self._add_keys("ExposedPorts", ports)

    def volume(self, rest: str) -> None:
        listed = _strings(rest)
        paths = [self._expanded(path) for path in (rest.split() if listed is None else listed)]
        if not paths or not all(path.strip() for path in paths):
            raise ImageError("a volume's path must not be empty")
        self._add_keys("Volumes", paths)

    def user(self, rest: str) -> None:
        self._put("User", self._one_word(rest, "USER"))

    def workdir(self, rest: str) -> None:
        """Set the working directory; a relative one is within that of the parent."""
        path = posixpath.join("/", self._now.text("WorkingDir") or "", self._expanded(rest))
        self._put("WorkingDir", "/" + posixpath.normpath(path).lstrip("/"))

    def stopsignal(self, rest: str) -> None:
        name = self._one_word(rest, "STOPSIGNAL")
        if not _is_signal(name):
            raise ImageError(f"there is no signal {shown(name)}")
        self._put("StopSignal", name)

    def onbuild(self, rest: str) -> None:
        trigger = rest.split(maxsplit=1)[0].upper()
        if trigger not in _TRIGGERS:
            raise ImageError(f"{escaped(trigger)} is no instruction that ONBUILD may have")
        self._put("OnBuild", [*self._now.texts("OnBuild"), rest])

    @property
    def _now(self) -> Fields:
        return Fields(self.fields, "config")

    def _put(self, name: str, value: object) -> None:
        """Set a field, or take it away where it is empty, which means the same and is how others write it."""
        if value:
            self.fields[name] = value
        else:
            self.fields.pop(name, None)

    def _add_keys(self, name: str, keys: Sequence[str]) -> None:
        """Add to a set, which these documents have as an object whose values are empty objects."""
        self._put(name, {key: {} for key in (*self._now.keys(name), *keys)})

    def _expanded(self, text: str) -> str:
        variables = dict(entry.split("=", 1) for entry in self._now.texts("Env") if "=" in entry)
        return expanded(text, variables)

    def _one_word(self, rest: str, name: str) -> str:
        if len(words(rest)) != 1:
            raise ImageError(f"{name} takes one argument")
        word = self._expanded(rest)
        if not word:
            raise ImageError(f"{name}'s argument is empty")
        return word

    def _command(self, rest: str) -> list[str]:
        """Return the arguments of the JSON form, or a shell's that runs ``rest``."""
        arguments = _strings(rest)
        return [*(self._now.texts("Shell") or _DEFAULT_SHELL), rest] if arguments is None else arguments

    def _pairs(self, rest: str, instruction: str) -> list[tuple[str, str]]:
        """Return names and values of ``name=value ...`` or ``name value``; all see the variables as they were."""
        parts = words(rest)
        if "=" not in parts[0]:
            name, *value = rest.split(maxsplit=1)
            if not value:
                raise ImageError(f"{instruction} takes NAME=VALUE ... or NAME VALUE")
            return [(self._expanded(name), self._expanded(value[0]))]
        pairs = [self._expanded(part).partition("=") for part in parts]
        for part, (name, equals, _) in zip(parts, pairs, strict=True):
            if not equals or not name:
                raise ImageError(f"{shown(part)} is not of the form NAME=VALUE")
        return [(name, value) for name, _, value in pairs]


_INSTRUCTIONS: Mapping[str, Callable[[_Draft, str], None]] = {
    "CMD": _Draft.cmd,
    "ENTRYPOINT": _Draft.entrypoint,
    "ENV": _Draft.env,
    "EXPOSE": _Draft.expose,
    "LABEL": _Draft.label,
    "ONBUILD": _Draft.onbuild,
    "STOPSIGNAL": _Draft.stopsignal,
    "USER": _Draft.user,
    "VOLUME": _Draft.volume,
    "WORKDIR": _Draft.workdir,
}


def _strings(rest: str) -> list[str] | None:
    """Return the strings of the JSON form, or None where ``rest`` is no JSON list and so of the shell form."""
    if not rest.startswith("["):
        return None
    try:
        value = parse(rest.encode(errors="surrogateescape"), "it")
    except ImageError:
        # A command such as "[ -e /x ] && y" begins like a list; docker takes all that is no JSON for the shell's.
        return None
    return list(Fields({"list": value}, "it").texts("list"))


def _ports(word: str) -> list[str]:
    """Return the port or ports of ``80``, ``80/udp`` or ``8000-8010/tcp`` as a config names them."""
    match = _PORTS.fullmatch(word)
    if match is None:
        raise ImageError(f"{shown(word)} is no PORT[-PORT][/tcp|udp|sctp]")
    first, last = int(match["first"]), int(match["last"] or match["first"])
    if not 1 <= first <= last <= 65535:
        raise ImageError(f"{shown(word)} is no range of ports between 1 and 65535")
    protocol = (match["protocol"] or "tcp").lower()
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def _is_signal(text: str) -> bool:
    """Tell whether ``text`` is a signal's number or name, with SIG before it or not; real-time ones are RTMIN+n."""
    if text.isascii() and text.isdigit():
        return 1 <= int(text) <= _MAX_SIGNAL
    name = text.upper().removeprefix("SIG")
    beyond = re.fullmatch(r"(?:RTMIN\+|RTMAX-)([0-9]{1,2})", name)
    if beyond:
        return int(beyond[1]) <= signal.SIGRTMAX - signal.SIGRTMIN
    return f"SIG{name}" in signal.Signals.__members__
