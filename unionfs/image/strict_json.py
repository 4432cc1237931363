"""Reading JSON that somebody else wrote: bounded in depth, one meaning only.

The image-spec asks for I-JSON (RFC 7493): no duplicate keys, no lone surrogates, no numbers a reader could
take for infinity. What passes here means the same to every reader. It knows no image document; ``Fields``
gives those one way to take a typed field, an absent one and ``null`` being the same, which is the
image-spec's own rule.
"""

import json
import math
import re
from typing import NoReturn

from unionfs.image.error import ImageError, shown

MAX_DEPTH = 128
"""Levels of nesting; no image document has use for more than a dozen."""

_MAX_NUMBER = 64
"""Digits of a number, which bounds the work of converting one."""

_ESCAPE = re.compile(r"\\.", re.DOTALL)
_STRING = re.compile(r'"[^"]*"?')
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(data: bytes, what: str) -> object:
    """Return the value of the JSON text ``data``, naming the document ``what`` in errors.

    Raises ImageError on anything that isn't one strict JSON value.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ImageError(f"{what} is not UTF-8 at byte {error.start}") from None
    _check_depth(text, what)
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
        if _SURROGATE.search(text):
            # The decoder pairs surrogate escapes up, so one that is left alone cannot be encoded again.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise ImageError(f"{what} is not valid JSON: {error.msg} at character {error.pos}") from None
    except UnicodeEncodeError:
        raise ImageError(f"{what} holds a lone surrogate") from None
    except ImageError as error:
        raise ImageError(f"{what} {error}") from None
    return value


def _check_depth(text: str, what: str) -> None:
    """Refuse deep nesting before the recursive decoder sees it."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", _STRING.sub("", _ESCAPE.sub("", text))):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise ImageError(f"{what} is nested deeper than {MAX_DEPTH} levels")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ImageError(f"has the key {shown(key)} twice in one object")
            seen.add(key)
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ImageError(f"holds {name}, which is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ImageError(f"holds the number {shown(digits)}, which is out of range")
    return number


def _integer(digits: str) -> int:
    if len(digits) > _MAX_NUMBER:
        raise ImageError(f"holds the number {shown(digits)}, which is out of range")
    return int(digits)


class Fields:
    """The fields of one JSON object, each taken with the type it must have.

    ``where`` names the object in errors. Every method raises ImageError if the field has another type.
    """

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise ImageError(f"{where} must be a JSON object")
        self._fields: dict[str, object] = value
        self.where = where

    def as_dict(self) -> dict[str, object]:
        """Return all fields as they are, those nobody here knows included; the object stays as it is."""
        return dict(self._fields)

    def has(self, name: str) -> bool:
        """Return whether the field is there and not null."""
        return self._fields.get(name) is not None

    def text(self, name: str) -> str | None:
        """Return a string, or None if the field is absent."""
        value = self._fields.get(name)
        if value is not None and not isinstance(value, str):
            raise self._wrong(name, "a string")
        return value

    def required_text(self, name: str) -> str:
        """Return a string that must be there and not be empty."""
        value = self.text(name)
        if not value:
            raise ImageError(f"{self.where} has no {shown(name)}")
        return value

    def integer(self, name: str) -> int | None:
        """Return an integer of 64 bits, or None if the field is absent."""
        value = self._fields.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
            raise self._wrong(name, "an integer of 64 bits")
        return value

    def flag(self, name: str) -> bool:
        """Return a truth value, false if the field is absent."""
        value = self._fields.get(name)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return bool(value)

    def fields(self, name: str) -> "Fields | None":
        """Return an object, or None if the field is absent."""
        value = self._fields.get(name)
        return None if value is None else Fields(value, f"{self.where}: {shown(name)}")

    def required_fields(self, name: str) -> "Fields":
        """Return an object that must be there."""
        return Fields(self._fields.get(name), f"{self.where}: {shown(name)}")

    def list_of_fields(self, name: str) -> "tuple[Fields, ...]":
        """Return a list of objects, empty if the field is absent."""
        where = f"{self.where}: {shown(name)}"
        return tuple(Fields(value, f"{where} {number}") for number, value in enumerate(self._list(name)))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of strings, empty if the field is absent."""
        values = self._list(name)
        texts = tuple(value for value in values if isinstance(value, str))
        if len(texts) != len(values):
            raise self._wrong(name, "a list of strings")
        return texts

    def text_map(self, name: str) -> dict[str, str]:
        """Return an object whose values are strings, empty if the field is absent."""
        values = self._object(name)
        texts = {key: value for key, value in values.items() if isinstance(value, str)}
        if len(texts) != len(values):
            raise self._wrong(name, "an object of strings")
        return texts

    def keys(self, name: str) -> tuple[str, ...]:
        """Return the keys of an object that stands for a set, empty if the field is absent."""
        return tuple(self._object(name))

    def _list(self, name: str) -> list[object]:
        value = self._fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(name, "a list")
        return value

    def _object(self, name: str) -> dict[str, object]:
        value = self._fields.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return value

    def _wrong(self, name: str, kind: str) -> ImageError:
        return ImageError(f"{self.where}: {shown(name)} must be {kind}")
