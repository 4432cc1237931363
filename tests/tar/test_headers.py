"""One header block: names, numbers, types, checksum, and the formats that differ in them."""

from typing import Any

import pytest

from tests import tarball
from tests.tar.reading import contents, entries, only, refusal
from unionfs.tar import Kind


def with_field(entry: bytes, name: str, value: int | bytes) -> bytes:
    fields: dict[str, Any] = {name: value}
    return tarball.raw_header(entry, **fields)


def test_a_ustar_header_gives_every_field() -> None:
    entry = only(tarball.archive(tarball.file(b"etc/a", b"xyz", mode=0o4711, uid=5, gid=6, mtime=1234567890)))
    assert entry.name == b"etc/a"
    assert entry.kind is Kind.FILE
    assert (entry.mode, entry.uid, entry.gid, entry.size) == (0o4711, 5, 6, 3)
    assert (entry.mtime_ns, entry.atime_ns) == (1234567890_000_000_000, None)
    assert (entry.linkname, entry.devmajor, entry.devminor) == (b"", 0, 0)
    assert (dict(entry.xattrs), entry.sparse) == ({}, None)


@pytest.mark.parametrize(
    ("typeflag", "kind"),
    [
        (b"0", Kind.FILE),
        (b"\0", Kind.FILE),
        (b"7", Kind.FILE),
        (b"1", Kind.HARDLINK),
        (b"2", Kind.SYMLINK),
        (b"3", Kind.CHAR),
        (b"4", Kind.BLOCK),
        (b"5", Kind.DIR),
        (b"6", Kind.FIFO),
    ],
)
def test_each_type_is_recognised(typeflag: bytes, kind: Kind) -> None:
    assert only(tarball.archive(tarball.member(b"n", typeflag))).kind is kind


@pytest.mark.parametrize("typeflag", [b"Z", b"8", b"M", b"V", b"D", b"X", b"\xff", b"\n"])
def test_an_unknown_type_is_refused_by_the_name_of_its_entry(typeflag: bytes) -> None:
    text = refusal(tarball.archive(tarball.member(b"odd", typeflag)))
    assert text.startswith("odd: its type '")
    assert text.isprintable()


@pytest.mark.parametrize("typeflag", [b"0", b"\0", b"7"])
def test_a_regular_file_whose_name_ends_in_a_slash_is_a_directory(typeflag: bytes) -> None:
    archive = tarball.archive(tarball.member(b"d/", typeflag, b"ignored"), tarball.file(b"next", b"ok"))
    assert [(entry.name, entry.kind, entry.size) for entry in entries(archive)] == [
        (b"d/", Kind.DIR, 0),
        (b"next", Kind.FILE, 2),
    ]
    assert contents(archive) == {b"d/": b"", b"next": b"ok"}


@pytest.mark.parametrize("typeflag", [b"1", b"2", b"3", b"4", b"5", b"6"])
def test_what_is_not_a_file_has_no_content_whatever_its_size_field_says(typeflag: bytes) -> None:
    archive = tarball.archive(tarball.raw_header(b"n", typeflag, size=1 << 62), tarball.file(b"next", b"ok"))
    assert [(entry.name, entry.size) for entry in entries(archive)] == [(b"n", 0), (b"next", 2)]


@pytest.mark.parametrize("magic", [tarball.USTAR, tarball.GNU, tarball.V7])
def test_all_three_layouts_are_read(magic: bytes) -> None:
    archive = tarball.archive(tarball.file(b"a", b"1", magic=magic), tarball.symlink(b"l", b"a", magic=magic))
    assert [(entry.name, entry.kind, entry.linkname) for entry in entries(archive)] == [
        (b"a", Kind.FILE, b""),
        (b"l", Kind.SYMLINK, b"a"),
    ]


def test_a_name_of_exactly_100_bytes_needs_no_nul() -> None:
    header = tarball.raw_header(b"n" * 100, b"2", linkname=b"t" * 100)
    entry = only(tarball.archive(header))
    assert (entry.name, entry.linkname) == (b"n" * 100, b"t" * 100)


def test_a_ustar_prefix_of_155_bytes_stands_before_the_name() -> None:
    header = tarball.raw_header(b"n" * 100, prefix=b"p" * 155)
    assert only(tarball.archive(header)).name == b"p" * 155 + b"/" + b"n" * 100


def test_a_base256_number_in_a_ustar_header_leaves_its_prefix_alone() -> None:
    # Some tars of BSD and Perl write both; a reader that then takes the header for GNU's loses half the name.
    header = tarball.raw_header(b"LighttpdScriptNameFix.3pm", uid=tarball.base256(501, 8), prefix=b"p" * 155)
    entry = only(tarball.archive(header))
    assert (entry.name, entry.uid) == (b"p" * 155 + b"/LighttpdScriptNameFix.3pm", 501)


@pytest.mark.parametrize("magic", [tarball.GNU, tarball.V7])
def test_only_ustar_has_a_prefix(magic: bytes) -> None:
    header = tarball.raw_header(b"a", magic=magic, prefix=b"00000000017")
    assert only(tarball.archive(header)).name == b"a"


def test_the_times_star_keeps_in_the_prefix_are_no_part_of_the_name() -> None:
    prefix = b"p" * 131 + b"00000000017\0" + b"00000000017\0" + bytes(8) + b"tar\0"
    assert only(tarball.archive(tarball.raw_header(b"a", prefix=prefix))).name == b"p" * 131 + b"/a"


@pytest.mark.parametrize(
    "name",
    [
        b"./a",
        b"d//e///f",
        b"d/x/../h",
        b"/abs",
        b"../../up",
        b"",
        b".",
        b"\xff\xfe",
        b"a\nb\tc",
        b"-rf",
        b"\xc3\xa9",
        b"e\xcc\x81",
    ],
)
def test_names_come_out_as_they_stand_in_the_archive(name: bytes) -> None:
    assert only(tarball.archive(tarball.file(name))).name == name


def test_a_name_ends_at_its_first_nul() -> None:
    header = tarball.raw_header(b"a\0b", b"2", linkname=b"c\0d")
    entry = only(tarball.archive(header))
    assert (entry.name, entry.linkname) == (b"a", b"c")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"0000017\0", 15),
        (b"     17 ", 15),
        (b"17\0\0\0\0\0\0", 15),
        (b" 17 \0   ", 15),
        (b"17\0junk\0", 15),
        (b"00000017", 15),
        (bytes(8), 0),
        (b"        ", 0),
        (b"\x80\0\0\0\0\0\0\x0f", 15),
        (b"\x80\0\0\0\xee\x6b\x28\x00", 4000000000),
    ],
)
def test_numbers_are_octal_with_any_padding_or_base256(field: bytes, value: int) -> None:
    assert only(tarball.archive(tarball.file(b"a", uid=field))).uid == value


@pytest.mark.parametrize(
    "field",
    [b"0000018\0", b"-000017\0", b"+17\0", b"0o17\0", b"1_7\0", b"1 7\0", b"0x1f\0", b"\x7f\0", b"1.5\0"],
)
@pytest.mark.parametrize("name", ["mode", "uid", "gid", "size", "mtime"])
def test_what_is_no_number_is_refused_by_its_field(name: str, field: bytes) -> None:
    header = with_field(b"etc/a", name, field)
    assert refusal(tarball.archive(header)) == f"etc/a: its {name} is not an octal number"


@pytest.mark.parametrize("name", ["uid", "gid"])
def test_the_highest_id_is_4294967294(name: str) -> None:
    highest = with_field(b"a", name, 4294967294)
    assert getattr(only(tarball.archive(highest)), name) == 4294967294
    for value in (4294967295, 1 << 32, (1 << 62) - 1, -1, -4294967296):
        header = with_field(b"a", name, value)
        assert refusal(tarball.archive(header)) == f"a: its {name} {value} is outside 0 to 4294967294"


def test_file_type_bits_above_the_permissions_are_dropped() -> None:
    assert only(tarball.archive(tarball.file(b"a", mode=0o106755))).mode == 0o6755


def test_a_negative_mode_is_refused() -> None:
    assert refusal(tarball.archive(tarball.file(b"a", mode=-1))) == "a: its mode is negative"


@pytest.mark.parametrize("seconds", [0, 1, 0o77777777777, 1 << 40, -1, -(1 << 40)])
def test_times_before_1970_and_beyond_octal_are_exact(seconds: int) -> None:
    assert only(tarball.archive(tarball.file(b"a", mtime=seconds))).mtime_ns == seconds * 1_000_000_000


@pytest.mark.parametrize("seconds", [1 << 63, -(1 << 63) - 1])
def test_a_time_no_kernel_can_hold_is_refused(seconds: int) -> None:
    assert refusal(tarball.archive(tarball.file(b"a", mtime=seconds))) == "a: its mtime is out of range"


@pytest.mark.parametrize("size", [-1, -512, -(1 << 80)])
@pytest.mark.parametrize("typeflag", [b"0", b"5", b"x", b"L"])
def test_a_negative_size_is_refused(typeflag: bytes, size: int) -> None:
    assert refusal(tarball.archive(tarball.raw_header(b"a", typeflag, size=size))).endswith("its size is negative")


@pytest.mark.parametrize(("major", "minor"), [(5, 1), (300, 70000), (4095, 1048575), (0, 0)])
def test_device_numbers_are_exact(major: int, minor: int) -> None:
    archive = tarball.archive(tarball.char(b"c", major, minor), tarball.block(b"b", major, minor))
    assert [(entry.kind, entry.devmajor, entry.devminor) for entry in entries(archive)] == [
        (Kind.CHAR, major, minor),
        (Kind.BLOCK, major, minor),
    ]


@pytest.mark.parametrize(
    ("major", "minor", "what"),
    [(4096, 0, "major"), (-1, 0, "major"), (0, 1 << 20, "minor"), (0, -1, "minor")],
)
def test_device_numbers_beyond_linux_are_refused(major: int, minor: int, what: str) -> None:
    assert f"its device {what} " in refusal(tarball.archive(tarball.char(b"c", major, minor)))


def test_the_oldest_layout_has_no_place_for_device_numbers() -> None:
    block = tarball.raw_header(b"c", b"3", magic=tarball.V7)
    entry = only(tarball.archive(tarball.checksummed(block[:329] + b"garbage!" * 2 + block[345:])))
    assert (entry.kind, entry.devmajor, entry.devminor) == (Kind.CHAR, 0, 0)


def test_only_devices_have_device_numbers() -> None:
    header = tarball.raw_header(b"a", devmajor=b"garbage!", devminor=7)
    entry = only(tarball.archive(header))
    assert (entry.devmajor, entry.devminor) == (0, 0)


def test_a_checksum_over_signed_bytes_is_accepted() -> None:
    name = b"\xff\xe9" * 10
    good = tarball.raw_header(name)
    signed = int(good[148:154], 8) - 256 * sum(byte > 127 for byte in name)
    assert only(tarball.archive(tarball.raw_header(name, checksum=b"%06o\0 " % signed))).name == name


@pytest.mark.parametrize("checksum", [b"", b"        ", b"0000000\0", b"000001\0 ", b"rubbish!"])
def test_a_wrong_checksum_is_refused_by_its_place(checksum: bytes) -> None:
    archive = tarball.archive(tarball.file(b"a", b"x"), tarball.raw_header(b"b", checksum=checksum))
    assert refusal(archive).startswith("at byte 1024: ")


@pytest.mark.parametrize("place", [0, 99, 124, 255, 256, 257, 344, 511])
def test_a_change_of_any_byte_breaks_the_checksum(place: int) -> None:
    header = bytearray(tarball.raw_header(b"a" * 100, prefix=b"p" * 167))
    header[place] ^= 0x40
    assert refusal(bytes(header)) == "at byte 0: the header's checksum is wrong"


def test_the_checksum_of_a_header_full_of_high_bytes_is_right() -> None:
    header = tarball.raw_header(b"\xff" * 100, b"2", linkname=b"\xff" * 100, prefix=b"\xff" * 167, magic=tarball.V7)
    assert only(tarball.archive(header)).name == b"\xff" * 100


def test_text_is_no_archive() -> None:
    assert refusal(b"#!/bin/sh\necho hello\n" * 100).startswith("at byte 0: ")


def test_a_name_in_an_error_is_one_short_printable_line() -> None:
    for name in (b"\x1b[2J\n\r\xff\xc2\x9b", b"n" * 99_999):
        text = refusal(tarball.archive(tarball.file(name, uid=-1, pax={"path": name})))
        assert text.isprintable()
        assert len(text) < 300
