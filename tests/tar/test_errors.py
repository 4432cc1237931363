"""Names from archives as they are shown to people."""

import pytest

from unionfs.tar import LimitError, TarError, printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"etc/a", "etc/a"),
        (b"\xc3\xa9", "\u00e9"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"a\nb\tc\x1b[2J\x7f", "a\\nb\\tc\\x1b[2J\\x7f"),
        ("\u202etxt\u2028\u009b".encode(), "\\u202etxt\\u2028\\x9b"),
        (b"\0", "\\x00"),
        (b"", ""),
    ],
)
def test_what_could_change_a_terminal_is_escaped(name: bytes, shown: str) -> None:
    assert printable(name) == shown


@pytest.mark.parametrize("name", [b"n" * 201, b"\x01" * 100, b"n" * (1 << 20)])
def test_a_long_name_is_cut(name: bytes) -> None:
    assert len(printable(name)) == 201
    assert printable(name).endswith("…")


def test_a_limit_is_an_error_of_the_archive_that_knows_its_name() -> None:
    error = LimitError("the size", "bytes", 5)
    assert isinstance(error, TarError)
    assert isinstance(error, ValueError)
    assert (str(error), error.limit) == ("the size is over the limit of 5 (bytes)", "bytes")
