"""How an error reads to the user: one line, nothing in it that a terminal would obey."""

import os

from unionfs.cli.arguments import UsageError
from unionfs.mount.errors import OptionError
from unionfs.shell.error import ShellError

EXIT_FAILURE = 1
EXIT_USAGE = 2


def describe(error: BaseException) -> str:
    """Give *error* as one line, with the file an ``OSError`` names before its reason."""
    if isinstance(error, OSError) and error.strerror:
        names = [_shown(name) or "''" for name in (error.filename, error.filename2) if name is not None]
        return escape(f"{' -> '.join(names)}: {error.strerror}" if names else error.strerror)
    text = str(error)
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("unionfs"):
        text = f"the Python package {error.name} is missing: install this program with what it needs"
    elif _is_a_bug(error):
        text = f"internal error: {type(error).__name__}: {text} (--debug shows where)"
    return escape(text or type(error).__name__)


def exit_code(error: BaseException) -> int:
    """Give the exit code that *error* ends the program with."""
    if isinstance(error, ShellError):
        return error.code
    return EXIT_USAGE if isinstance(error, UsageError | OptionError) else EXIT_FAILURE


def escape(text: str) -> str:
    r"""Write control characters, and bytes that aren't UTF-8, as ``\xNN`` or ``\uNNNN``; the rest stays."""
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00  # a byte that surrogateescape carried
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _shown(name: object) -> str:
    return os.fsdecode(name) if isinstance(name, bytes) else str(name)


def _is_a_bug(error: BaseException) -> bool:
    """Tell whether *error* is Python's own: what is meant for the user has a class of the project."""
    return type(error).__module__ == "builtins" and not isinstance(error, OSError)
