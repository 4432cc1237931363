"""How errors read."""

import os

import pytest

from unionfs.cli.arguments import UsageError
from unionfs.cli.report import describe, escape, exit_code
from unionfs.mount.errors import MountError, OptionError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, é and 中", "plain text, é and 中"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\rc\td\x00e\x7f", r"a\x0ab\x0dc\x09d\x00e\x7f"),
        ("\x9b31m", r"\x9b31m"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("\u202eevil\u2028", r"\u202eevil\u2028"),
        ("\U000e0001", r"\U000e0001"),
        ("\\x1b stays", r"\x1b stays"),
    ],
)
def test_nothing_that_a_terminal_obeys_is_left(text: str, shown: str) -> None:
    assert escape(text) == shown


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileNotFoundError(2, "No such file or directory", "/a"), "/a: No such file or directory"),
        (FileNotFoundError(2, "No such file or directory", b"/\xff\n"), r"/\xff\x0a: No such file or directory"),
        (FileNotFoundError(2, "No such file or directory", b""), "'': No such file or directory"),
        (OSError(18, "Invalid cross-device link", "a", None, "b"), "a -> b: Invalid cross-device link"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("in words"), "in words"),
        (MountError("two\nlines"), r"two\x0alines"),
        (OptionError("unknown option: x"), "unknown option: x"),
        (
            ModuleNotFoundError("No module named 'click'", name="click"),
            "the Python package click is missing: install this program with what it needs",
        ),
        (ValueError("surprise"), "internal error: ValueError: surprise (--debug shows where)"),
        (AssertionError(), "internal error: AssertionError:  (--debug shows where)"),
    ],
)
def test_an_error_is_one_line_that_names_the_file(error: Exception, line: str) -> None:
    assert describe(error) == line


def test_a_wrong_command_line_ends_with_2_and_any_other_failure_with_1() -> None:
    assert [exit_code(error) for error in (UsageError(), OptionError(), MountError(), OSError(), KeyError())] == [
        2,
        2,
        1,
        1,
        1,
    ]
