r"""Words of a Dockerfile instruction: how they are told apart, unquoted, and variables in them replaced.

The rules are those of the Dockerfile reference, with ``\`` as the escape character.
"""

import re
from collections.abc import Mapping

from unionfs.image.error import ImageError, shown

_SINGLE = r"'[^']*(?:'|$)"
_DOUBLE = r'"(?:[^"\\]|\\.)*(?:"|\\?$)'
_WORD = re.compile(rf"(?:{_SINGLE}|{_DOUBLE}|\\.|\\$|[^\s'\"\\])+", re.DOTALL)
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE = re.compile(rf"\$(?:(?P<bare>{_NAME})|\{{(?P<name>{_NAME})(?:(?P<modifier>:?[+-])(?P<word>[^}}]*))?\}})")
_ESCAPED_IN_QUOTES = frozenset('"$\\')


def words(text: str) -> list[str]:
    """Return the words of ``text`` as they are written, quotes and escapes included."""
    return _WORD.findall(text)


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Return ``text`` without its quotes and escapes, variables replaced where they aren't in single quotes.

    An unknown variable is empty. Raises ImageError for a quote without its other one, and for what follows ``${``
    if it isn't a name, possibly with a default (``:-``, ``-``) or an alternative (``:+``, ``+``).
    """
    return _Expansion(text, variables).result()


class _Expansion:
    """One pass over a text, its state being where it is and which quote is open."""

    def __init__(self, text: str, variables: Mapping[str, str]) -> None:
        self._text = text
        self._variables = variables
        self._at = 0
        self._quote = ""

    def result(self) -> str:
        parts = []
        while self._at < len(self._text):
            parts.append(self._next())
        if self._quote:
            raise ImageError(f"{shown(self._text)} has no closing {self._quote}")
        return "".join(parts)

    def _next(self) -> str:
        character = self._text[self._at]
        if character == self._quote or (not self._quote and character in "'\""):
            self._quote = "" if self._quote else character
        elif character == "\\" and self._quote != "'":
            return self._escaped()
        elif character == "$" and self._quote != "'":
            return self._variable()
        else:
            self._at += 1
            return character
        self._at += 1
        return ""

    def _escaped(self) -> str:
        character = self._text[self._at + 1 : self._at + 2]
        self._at += 1 + len(character)
        return character if not self._quote or character in _ESCAPED_IN_QUOTES else "\\" + character

    def _variable(self) -> str:
        match = _VARIABLE.match(self._text, self._at)
        if match is None:
            if self._text.startswith("${", self._at):
                raise ImageError(f"{shown(self._text)}: what follows ${{ is not supported")
            self._at += 1
            return "$"
        self._at = match.end()
        value = self._variables.get(match["bare"] or match["name"])
        modifier: str = match["modifier"] or ""
        there = bool(value) if modifier.startswith(":") else value is not None
        if modifier and there == modifier.endswith("+"):
            return expanded(match["word"], self._variables)
        return "" if modifier.endswith("+") else value or ""
