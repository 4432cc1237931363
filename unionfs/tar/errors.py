"""The errors of a tar stream, and how a name from an archive is shown in one."""

_SHOWN = 200  # a name may be a megabyte long, an error line may not


class TarError(ValueError):
    """The stream is not a tar archive this reader accepts. The text is one sentence, with names escaped."""


class LimitError(TarError):
    """The archive is larger than a limit allows; ``limit`` is the name of that field of ``Limits``."""

    def __init__(self, what: str, limit: str, highest: int) -> None:
        super().__init__(f"{what} is over the limit of {highest} ({limit})")
        self.limit = limit


def printable(name: bytes) -> str:
    """Return a name from an archive as one line without control characters, shortened when very long."""
    text = name[:_SHOWN].decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return shown[:_SHOWN] + "…" if max(len(name), len(shown)) > _SHOWN else shown
