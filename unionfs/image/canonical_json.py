"""Writing JSON: the same value always becomes the same bytes, since an image's id is the digest of a document."""

import json

from unionfs.image.error import ImageError, shown


def encoded(value: object, what: str) -> bytes:
    """Return ``value`` as compact JSON in UTF-8, object keys in the order they are in.

    Raises ImageError, naming the document ``what``, where a text holds bytes that are no UTF-8, such as a word of
    the command line.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError as error:
        around = error.object[max(0, error.start - 20) : error.end + 20]
        raise ImageError(f"{what} can't hold text that is not UTF-8: {shown(around)}") from None
