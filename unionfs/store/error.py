"""The error of the store."""


class StoreError(Exception):
    """Something can't be stored; the text is one sentence.

    ``limit`` is the name of the limit that was exceeded, empty where the error is another one.
    """

    def __init__(self, message: str, limit: str = "") -> None:
        super().__init__(message)
        self.limit = limit
