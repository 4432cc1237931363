r"""The part of Go's templates that ``--format`` takes, as docker and podman users write them.

That is text, ``\t`` and ``\n``, and ``{{.Field}}``, ``{{.Field.Field}}``, ``{{json .Field}}`` and ``{{json .}}``;
everything else of that language is refused by name. Values are printed as Go prints them.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence

from unionfs.cli.arguments import UsageError
from unionfs.cli.report import escape

_ACTION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_FIELD = re.compile(r"(?P<json>json\s+)?\.(?P<path>[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)?")
_SUPPORTED = "there are {{.FIELD}}, {{json .FIELD}} and {{json .}}"


class Template:
    """A parsed ``--format``; its parts are texts and fields in turn."""

    def __init__(self, text: str) -> None:
        """Parse *text*; raises UsageError, naming what isn't supported."""
        pieces = _ACTION.split(text)
        if any("{{" in literal or "}}" in literal for literal in pieces[::2]):
            raise UsageError(f"--format: a {{{{ or }}}} in {escape(text)} has no other one")
        self._literals = [piece.replace(r"\t", "\t").replace(r"\n", "\n") for piece in pieces[::2]]
        self._fields = [_Field(action) for action in pieces[1::2]]

    def check(self, known: Sequence[str]) -> None:
        """Raise UsageError unless the first name of each field is one of *known*."""
        for field in self._fields:
            if field.path and field.path[0] not in known:
                raise UsageError(_no_field(field.path[0], known))

    def filled(self, value: Mapping[str, object]) -> str:
        """Give the text with the fields of *value* in it; raises UsageError for a field that isn't there."""
        return self._joined(lambda field: field.shown(value))

    def headed(self, headings: Mapping[str, str]) -> str:
        """Give the text with each field's heading in it."""
        return self._joined(lambda field: headings.get(field.path[0], "") if field.path else "")

    def _joined(self, shown: Callable[["_Field"], str]) -> str:
        texts = [shown(field) for field in self._fields]
        return "".join(part for pair in zip(self._literals, (*texts, ""), strict=True) for part in pair)


class _Field:
    """One action: a way through nested objects, printed plainly or as JSON."""

    def __init__(self, action: str) -> None:
        match = _FIELD.fullmatch(action.strip())
        if match is None:
            raise UsageError(f"--format: {{{{{escape(action)}}}}} is not supported; {_SUPPORTED}")
        self._json = match["json"] is not None
        self.path: Sequence[str] = match["path"].split(".") if match["path"] else []

    def shown(self, value: object) -> str:
        for number, name in enumerate(self.path):
            if not isinstance(value, Mapping):
                way = "." + ".".join(self.path[:number])
                raise UsageError(f"--format: {way} has no fields, so no {name}")
            if name not in value:
                raise UsageError(_no_field(name, list(value)))
            value = value[name]
        return as_json(value) if self._json else escape(_as_go_prints(value))


def _no_field(name: str, known: Sequence[str]) -> str:
    return f"--format: there is no field {name}; there are {escape(', '.join(known)) or 'none'}"


def as_json(value: object, indent: int | None = None) -> str:
    """Give *value* as JSON in which nothing is left that a terminal would act on."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    return "".join(
        character if character.isprintable() or character == "\n" else json.dumps(character)[1:-1] for character in text
    )


def _as_go_prints(value: object) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{name}:{_as_go_prints(value[name])}' for name in sorted(value))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(_as_go_prints, value))}]"
    return str(value)
