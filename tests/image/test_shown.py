"""Foreign text in messages."""

import pytest

from unionfs.image import shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain-ä 日本", '"plain-ä 日本"'),
        ("\x1b[2Jcleared", r'"\x1b[2Jcleared"'),
        ("two\nlines\r", r'"two\nlines\r"'),
        ("nul\0", r'"nul\x00"'),
        ("right\u202eleft", r'"right\u202eleft"'),
        ("c1 \x9b", r'"c1 \x9b"'),
        ('quote " and \\', r'"quote \" and \\"'),
        (b"bytes \xff\xfe \x07", r'"bytes \xff\xfe \x07"'),
        (b"\xc3\xa4", '"ä"'),
        ("lone \ud800", r'"lone \ud800"'),
    ],
)
def test_what_a_terminal_could_act_on_is_escaped(text: str | bytes, expected: str) -> None:
    assert shown(text) == expected


def test_long_text_is_cut() -> None:
    assert shown("x" * 256) == '"' + "x" * 256 + '"'
    assert shown("x" * 10_000_000) == '"' + "x" * 256 + '..."'
