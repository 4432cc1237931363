"""The error of a layer that can't be unpacked."""


class LayerError(ValueError):
    """A layer is refused or can't be written; the text is one sentence that begins with the entry's name, escaped.

    ``limit`` is the name of the limit that was exceeded, empty where the error is another one.
    """

    def __init__(self, message: str, limit: str = "") -> None:
        super().__init__(message)
        self.limit = limit
