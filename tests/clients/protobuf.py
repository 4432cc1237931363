"""Just so much of the encoding of protocol buffers as messages of strings and numbers need."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

_VARINT, _BYTES = 0, 2
Field = int | str | bytes


def message(fields: Mapping[int, Field | Sequence[Field]]) -> bytes:
    """Encode fields by their numbers; a sequence is a repeated field."""
    encoded = bytearray()
    for number, values in fields.items():
        for value in [values] if isinstance(values, int | str | bytes) else values:
            if isinstance(value, int):
                encoded += _varint(number << 3 | _VARINT) + _varint(value)
            else:
                content = value.encode() if isinstance(value, str) else value
                encoded += _varint(number << 3 | _BYTES) + _varint(len(content)) + content
    return bytes(encoded)


def fields(encoded: bytes) -> Mapping[int, list[bytes]]:
    """Give the strings and messages, all of each field. Raises ValueError at what is neither, nor a number."""
    found: defaultdict[int, list[bytes]] = defaultdict(list)
    for number, content in _fields(encoded):
        found[number].append(content)
    return found


def _fields(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(encoded):
        tag, at = _read_varint(encoded, at)
        if tag & 7 == _VARINT:
            _, at = _read_varint(encoded, at)
        elif tag & 7 == _BYTES:
            length, at = _read_varint(encoded, at)
            yield tag >> 3, encoded[at : at + length]
            at += length
        else:
            raise ValueError(f"a field of the type {tag & 7}")


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def _read_varint(encoded: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = encoded[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
