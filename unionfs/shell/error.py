"""What keeps a command from being run in a root, with the exit code that stands for it."""

EXIT_FAILURE = 125
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127


class ShellError(Exception):
    """The command wasn't run; the text is one sentence, and ``code`` what docker-run(1) ends with in that case."""

    def __init__(self, text: str, code: int = EXIT_FAILURE) -> None:
        super().__init__(text)
        self.code = code


def as_text(error: BaseException) -> str:
    """Give *error* as it is told to another process: an ``OSError`` without its number."""
    if isinstance(error, OSError) and error.strerror:
        name = error.filename
        shown = name.decode(errors="surrogateescape") if isinstance(name, bytes) else name
        return error.strerror if shown is None else f"{shown}: {error.strerror}"
    return str(error) or type(error).__name__
