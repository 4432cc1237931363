"""The one error of image documents, and how foreign text appears in a message.

It doesn't print: an error's text is one sentence, which the command line shows as it is.
"""

_SHOWN_LENGTH = 256


class ImageError(ValueError):
    """An image document, name or digest is refused; its text is one sentence saying what and why.

    ``limit`` is the name of the limit that was exceeded, empty where the error is another one.
    """

    def __init__(self, message: str, limit: str = "") -> None:
        super().__init__(message)
        self.limit = limit


def shown(text: str | bytes) -> str:
    """Return foreign text, such as a name in an archive, in double quotes and otherwise as ``escaped`` does."""
    return f'"{escaped(text)}"'


def escaped(text: str | bytes) -> str:
    """Return foreign text with quotes and what a terminal could act on escaped, cut to 256 characters."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    cut = "".join(map(_escaped, text[:_SHOWN_LENGTH]))
    return cut if len(text) <= _SHOWN_LENGTH else cut + "..."


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":
        # Such a surrogate stands for one byte of a name that is no UTF-8, and is shown as that byte.
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
