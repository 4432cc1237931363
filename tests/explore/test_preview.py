"""What is told of one path: bounded, and nothing in it that a terminal would obey."""

from pathlib import Path

from tests.explore.looking import LAYERS, row
from tests.provenance.stacking import stacked
from tests.stacks import WHITEOUT, Device, File, HardLink, Layer, Node, Symlink
from unionfs.cli.human import size
from unionfs.cli.report import describe, escape
from unionfs.explore import preview
from unionfs.explore.changes import Look
from unionfs.explore.outline import Outline
from unionfs.explore.subject import Made, Words
from unionfs.explore.totals import Flow, Total, Totals

WORDS = Words(size, escape, describe)
MADE = [Made(1, "a" * 12, "ADD rootfs"), Made(2, "b" * 12, ""), Made(3, "c" * 12, "RUN \x1b[31mmake")]


def shown(directory: Path, node: Node) -> list[str]:
    """Give the lines of a file's content."""
    with stacked(directory, {"f": node}) as layers:
        outline = Outline(layers, Totals())
        outline.show()
        return list(preview.content(outline.rows[0], WORDS))


def told(directory: Path, layer: Layer, path: bytes) -> list[str]:
    """Give what is told of a path."""
    with stacked(directory, layer) as layers:
        outline = Outline(layers, Totals())
        outline.show()
        return list(preview.facts(row(outline, path), WORDS))


def test_text_is_shown_line_by_line_with_control_characters_escaped(tmp_path: Path) -> None:
    content = "one\n\ttab\nr\x1b[31mé\udcff\r\n[bold]\n"
    assert shown(tmp_path, File(content=content.encode("utf-8", "surrogateescape"))) == [
        "one",
        "        tab",
        r"r\x1b[31mé\xff\x0d",
        "[bold]",
    ]


def test_what_is_no_text_is_shown_in_hexadecimal(tmp_path: Path) -> None:
    assert shown(tmp_path, File(content=b"\x7fELF\0" + b"abcdefghijklmno")) == [
        "00000000  7f 45 4c 46 00 61 62 63  64 65 66 67 68 69 6a 6b  .ELF.abcdefghijk",
        "00000010  6c 6d 6e 6f                                       lmno",
    ]
    assert shown(tmp_path / "odd", File(content=b"\x01\x02\x03abc"))[0].startswith("00000000  01 02 03 61")


def test_only_the_beginning_is_read(tmp_path: Path) -> None:
    lines = shown(tmp_path, File(content=b"x" * 70, size=1 << 40))
    assert len(lines) == preview.MOST_READ // 16 + 1
    assert lines[-1] == f"… {(1 << 40) - preview.MOST_READ} more bytes"


def test_an_empty_file_has_one_empty_line_and_what_is_no_file_none(tmp_path: Path) -> None:
    assert shown(tmp_path / "empty", File()) == [""]
    assert shown(tmp_path / "link", Symlink("/etc/shadow")) == []
    assert shown(tmp_path / "device", Device(0o020000, 1, 3)) == []


def test_the_attributes_of_a_file_are_told(tmp_path: Path) -> None:
    layer: Layer = {
        "d/f": File(content=b"12", mode=0o4750, uid=3, gid=4, xattrs={"user.a\n": b"text\0", "user.b": b"\xff\0"}),
        "d/g": HardLink("d/f"),
    }
    assert told(tmp_path, layer, b"d/f") == [
        "/d/f",
        "-rwsr-x--- (4750)",
        "owner 3:4",
        "2 bytes",
        "2 names",
        "mtime 2009-02-13 23:31:30Z",
        r"user.a\x0a=text",
        "user.b=0xff00",
    ]


def test_long_values_are_cut(tmp_path: Path) -> None:
    *_, value = told(tmp_path, {"f": File(xattrs={"user.long": b"v" * 1000})}, b"f")
    assert value == f"user.long={'v' * 64}…"


def test_what_is_no_file_is_told_too(tmp_path: Path) -> None:
    layer: Layer = {"l": Symlink("to\x1b"), "n": Device(0o020000, 1, 3, mode=0o600)}
    assert told(tmp_path / "link", layer, b"l")[-1] == r"-> to\x1b"
    assert "device 1:3" in told(tmp_path / "device", layer, b"n")


def test_a_time_that_no_calendar_has_is_told_as_a_number() -> None:
    assert preview._instant(1 << 90) == f"@{(1 << 90) // 10**9}"


def test_what_was_taken_away_is_told_as_it_was(tmp_path: Path) -> None:
    with stacked(tmp_path, *LAYERS) as layers:
        outline = Outline(layers, Totals())
        outline.show(layer=1)
        old = row(outline, b"etc/old")
        assert "1000 bytes" in list(preview.facts(old, WORDS))
        assert list(preview.content(old, WORDS)) == ["o" * 1000]
        outline.show(look=Look.LAYER)
        assert list(preview.facts(row(outline, b"never"), WORDS)) == ["/never", "a whiteout of nothing"]
        assert list(preview.content(row(outline, b"never"), WORDS)) == []


def test_the_layers_that_touch_a_path_are_told_with_their_steps(tmp_path: Path) -> None:
    with stacked(tmp_path, {"f": File()}, {"f": File()}, {"f": WHITEOUT}) as layers:
        outline = Outline(layers, Totals())
        outline.show()
        assert list(preview.touches(outline.rows[0], MADE, WORDS)) == [
            "+ layer 1 adds it: ADD rootfs",
            "~ layer 2 changes it",
            r"- layer 3 removes it: RUN \x1b[31mmake",
        ]


def test_an_image_and_a_layer_are_told_in_short_also_before_they_are_measured() -> None:
    total = Total((Flow(0, 1000, 0), Flow(1, 1000, 500)))
    assert preview.of_image("a\x1b", 1, None, WORDS) == r"a\x1b  1 layer, measuring …"
    assert preview.of_image("a", 2, total, WORDS) == "a  2kB in 2 layers, 500B wasted (25.0%)"
    assert preview.of_image("a", 0, Total(()), WORDS) == "a  0B in 0 layers, 0B wasted (0.0%)"
    assert preview.beneath(total, WORDS) == "2kB shipped, 500B wasted"
    assert list(preview.of_layer(MADE[1], None, WORDS)) == ["layer 2 bbbbbbbbbbbb", ""]
    assert list(preview.of_layer(MADE[0], total, WORDS)) == ["layer 1 aaaaaaaaaaaa", "ADD rootfs"]
    assert list(preview.of_layer(MADE[1], total, WORDS))[-1] == "hides 500B of the layers below"
