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
    """Return foreign text in double quotes, control characters escaped, cut to 256 characters."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    cut = text[:_SHOWN_LENGTH]
    escaped = "".join(_escaped(character) for character in cut)
    return f'"{escaped}"' if len(text) <= _SHOWN_LENGTH else f'"{escaped}"...'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":
        # Such a surrogate stands for one byte of a name that is no UTF-8, and is shown as that byte.
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
