"""Extension headers: PAX records and GNU long names, and what they change in the entry after them."""

import pytest

from tests import tarball
from tests.tar.reading import contents, entries, only, refusal
from unionfs.tar import Entry, Kind, Limits


def with_pax(records: tarball.Records, name: bytes = b"a") -> Entry:
    return only(tarball.archive(tarball.file(name, pax=records)))


@pytest.mark.parametrize("name", [b"d/" * 100 + b"f", b"x" * 255, b"d/" * 3000 + b"f", b"\xff\xfe", b"a\nb=c"])
def test_a_pax_path_is_the_name(name: bytes) -> None:
    assert with_pax({"path": name}).name == name


def test_a_pax_path_in_binary_charset_is_the_same_bytes() -> None:
    assert with_pax([("hdrcharset", "BINARY"), ("path", b"\xe9\xff")]).name == b"\xe9\xff"


def test_a_pax_linkpath_is_the_target() -> None:
    assert only(tarball.archive(tarball.symlink(b"l", b"t" * 4095))).linkname == b"t" * 4095


@pytest.mark.parametrize("name", [b"n" * 100, b"n" * 101, b"n" * 511, b"n" * 512, b"n" * 513, b"d/" * 3000 + b"f"])
@pytest.mark.parametrize("end", [b"\0", b""])
def test_gnu_long_names_are_exact(name: bytes, end: bytes) -> None:
    archive = tarball.archive(
        tarball.extension(b"target" + name + end, b"K"),
        tarball.extension(name + end, b"L"),
        tarball.symlink(b"cut", b"cut", magic=tarball.GNU),
        tarball.file(b"next"),
    )
    assert [(entry.name, entry.linkname) for entry in entries(archive)] == [
        (name, b"target" + name),
        (b"next", b""),
    ]


def test_a_gnu_long_name_wins_over_a_pax_path_in_either_order() -> None:
    long_name = tarball.extension(b"gnu\0", b"L")
    path = tarball.pax_header({"path": "pax"})
    archive = tarball.archive(long_name, path, tarball.raw_header(b"a"), path, long_name, tarball.raw_header(b"b"))
    assert [entry.name for entry in entries(archive)] == [b"gnu", b"gnu"]


def test_an_extension_holds_for_one_entry_only() -> None:
    archive = tarball.archive(tarball.file(b"a", pax={"uid": "7", "mtime": "1.5", "path": "x"}), tarball.file(b"b"))
    assert [(entry.name, entry.uid, entry.mtime_ns) for entry in entries(archive)] == [
        (b"x", 7, 1_500_000_000),
        (b"b", 0, 0),
    ]


def test_of_two_pax_headers_the_later_holds() -> None:
    archive = tarball.archive(
        tarball.pax_header({"path": "first", "uid": "7"}),
        tarball.pax_header({"path": "second"}),
        tarball.raw_header(b"a"),
    )
    entry = only(archive)
    assert (entry.name, entry.uid) == (b"second", 0)


def test_of_two_records_with_one_keyword_the_later_holds() -> None:
    assert with_pax([("path", "first"), ("path", "second")]).name == b"second"


def test_an_empty_value_leaves_the_field_of_the_header() -> None:
    empty = {"path": "", "uid": "", "gid": "", "mtime": "", "atime": "", "size": "", "linkpath": ""}
    archive = tarball.archive(tarball.file(b"a", b"xyz", uid=5, gid=6, mtime=7, pax=empty))
    entry = only(archive)
    assert (entry.name, entry.uid, entry.gid, entry.size, entry.mtime_ns) == (b"a", 5, 6, 3, 7_000_000_000)
    assert entry.atime_ns is None


@pytest.mark.parametrize("keyword", ["path", "linkpath"])
def test_a_nul_in_a_pax_name_is_refused(keyword: str) -> None:
    assert f"a PAX {keyword} holds a NUL" in refusal(tarball.archive(tarball.file(b"a", pax={keyword: b"b\0c"})))


def test_a_nul_in_the_name_of_a_sparse_file_is_refused() -> None:
    assert "holds a NUL" in refusal(tarball.archive(tarball.pax_sparse(b"a\0b", [(0, b"x")], 1)))


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1234567890.123456789", 1234567890_123456789),
        ("1234567890", 1234567890_000000000),
        ("1234567890.", 1234567890_000000000),
        ("0.1", 100_000_000),
        ("0.000000001", 1),
        ("0.0000000019", 1),
        ("-1.5", -1_500_000_000),
        ("-0.000000001", -1),
        ("-0.0000000001", -1),
        ("-1.0000000000", -1_000_000_000),
        ("-0", 0),
        ("9007199254740993.123456789", 9007199254740993_123456789),
        ("-9223372036854775808", -9223372036854775808_000000000),
        ("9223372036854775807.999999999", 9223372036854775807_999999999),
    ],
)
def test_pax_times_are_exact_to_the_nanosecond(text: str, nanoseconds: int) -> None:
    entry = with_pax({"mtime": text, "atime": text, "ctime": "5"})
    assert (entry.mtime_ns, entry.atime_ns) == (nanoseconds, nanoseconds)


@pytest.mark.parametrize("kind", [b"0", b"1", b"2", b"3", b"5", b"6"])
def test_every_kind_of_entry_takes_a_pax_time(kind: bytes) -> None:
    archive = tarball.archive(tarball.member(b"a", kind, pax={"mtime": "1234567890.123456789"}))
    assert only(archive).mtime_ns == 1234567890_123456789


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "+1", "--1", "1e9", ".5", "-", "nan", "1.5.5", "1,5", "0x1", "1_0", "٣", "9" * 21]
)
@pytest.mark.parametrize("keyword", ["mtime", "atime"])
def test_what_is_no_time_is_refused(keyword: str, text: str) -> None:
    if not text:
        assert with_pax({keyword: text}).mtime_ns == 0
        return
    assert refusal(tarball.archive(tarball.file(b"a", pax={keyword: text}))).endswith("is not a time")


@pytest.mark.parametrize("text", ["9223372036854775808", "-9223372036854775809", "-9223372036854775808.5"])
def test_a_pax_time_no_kernel_can_hold_is_refused(text: str) -> None:
    assert refusal(tarball.archive(tarball.file(b"a", pax={"mtime": text}))) == "a: its mtime is out of range"


@pytest.mark.parametrize("keyword", ["uid", "gid"])
def test_pax_ids_are_exact_up_to_4294967294(keyword: str) -> None:
    for value in (0, 3000000, 4000000000, 4294967294):
        assert getattr(with_pax({keyword: str(value)}), keyword) == value
    for value in (4294967295, 1 << 32, 1 << 64, -1):
        text = refusal(tarball.archive(tarball.file(b"a", pax={keyword: str(value)})))
        assert text == f"a: its {keyword} {value} is outside 0 to 4294967294"


@pytest.mark.parametrize("text", ["x", "1.5", "+1", "0x10", " 1", "1\n", "9" * 5000, "-"])
@pytest.mark.parametrize("keyword", ["uid", "gid", "size"])
def test_what_is_no_number_in_a_record_is_refused(keyword: str, text: str) -> None:
    archive = tarball.archive(tarball.file(b"a", pax={keyword: text}))
    assert refusal(archive).startswith(f"a: the PAX {keyword} ")
    assert refusal(archive).endswith(" is not a number")


def test_user_and_group_names_have_no_effect() -> None:
    entry = with_pax({"uname": "root", "gname": "\0", "comment": "x"})
    assert (entry.uid, entry.gid) == (0, 0)


def test_a_pax_size_holds_instead_of_the_headers() -> None:
    archive = tarball.archive(
        tarball.pax_header({"size": "700"}),
        tarball.raw_header(b"a", size=0),
        tarball.padded(b"x" * 700),
        tarball.file(b"b", b"y"),
    )
    assert contents(archive) == {b"a": b"x" * 700, b"b": b"y"}


def test_a_negative_pax_size_is_refused() -> None:
    assert refusal(tarball.archive(tarball.file(b"a", pax={"size": "-1"}))) == "a: its size is negative"


def test_a_pax_size_gives_no_content_to_a_directory() -> None:
    archive = tarball.archive(tarball.directory(b"d", pax={"size": "700"}), tarball.file(b"b", b"y"))
    assert [(entry.name, entry.size) for entry in entries(archive)] == [(b"d", 0), (b"b", 1)]


def test_a_pax_path_that_ends_in_a_slash_makes_a_file_a_directory() -> None:
    assert with_pax({"path": "d/"}).kind is Kind.DIR


def test_a_global_header_changes_nothing_and_is_no_entry() -> None:
    records = {"path": "evil", "linkpath": "evil", "mtime": "99", "uid": "7", "size": "512", "SCHILY.xattr.user.k": "v"}
    archive = tarball.archive(
        tarball.pax_header(records, b"g"),
        tarball.symlink(b"a", b"target", mtime=5),
        tarball.pax_header(records, b"g"),
        tarball.file(b"b", pax={"gid": "3"}),
    )
    assert [
        (entry.name, entry.linkname, entry.mtime_ns, entry.uid, entry.gid, dict(entry.xattrs))
        for entry in entries(archive)
    ] == [
        (b"a", b"target", 5_000_000_000, 0, 0, {}),
        (b"b", b"", 0, 0, 3, {}),
    ]


def test_a_global_header_between_an_extension_and_its_entry_is_passed_over() -> None:
    archive = tarball.archive(
        tarball.pax_header({"path": "long"}), tarball.pax_header({"path": "evil"}, b"g"), tarball.raw_header(b"a")
    )
    assert only(archive).name == b"long"


def test_a_global_header_may_be_all_there_is() -> None:
    assert entries(tarball.archive(tarball.pax_header({"comment": "x"}, b"g"))) == []


def test_xattrs_are_binary_and_keep_their_order() -> None:
    values = {b"user.k": b"\x01\n=\0\xff", b"user.empty": b"", b"security.capability": bytes(range(256))}
    entry = only(tarball.archive(tarball.file(b"a", xattrs=values)))
    assert list(entry.xattrs.items()) == list(values.items())


def test_an_xattr_of_64_kib_is_exact() -> None:
    value = bytes(range(256)) * 256
    assert only(tarball.archive(tarball.file(b"a", xattrs={b"user.k": value}))).xattrs == {b"user.k": value}


@pytest.mark.parametrize("encoded", [b"AQo9AP8", b"AQo9AP8="])
def test_libarchives_xattrs_are_base64_under_an_escaped_name(encoded: bytes) -> None:
    entry = with_pax({"LIBARCHIVE.xattr.user.a%3Db%25%c3%a9": encoded})
    assert entry.xattrs == {b"user.a=b%\xc3\xa9": b"\x01\n=\0\xff"}


def test_an_incomplete_escape_in_libarchives_name_stays_as_it_is() -> None:
    assert with_pax({"LIBARCHIVE.xattr.user.100%zz%2": "eA"}).xattrs == {b"user.100%zz%2": b"x"}


def test_schilys_form_of_an_xattr_wins_over_libarchives_in_either_order() -> None:
    schily, libarchive = ("SCHILY.xattr.user.k", "schily"), ("LIBARCHIVE.xattr.user.k", "bGliYXJjaGl2ZQ")
    assert with_pax([schily, libarchive]).xattrs == {b"user.k": b"schily"}
    assert with_pax([libarchive, schily]).xattrs == {b"user.k": b"schily"}
    assert with_pax([libarchive]).xattrs == {b"user.k": b"libarchive"}


@pytest.mark.parametrize("value", ["!", "A", "A===", "AA=A", "AAAA\n", "é"])
def test_what_is_no_base64_is_refused(value: str) -> None:
    text = refusal(tarball.archive(tarball.file(b"a", pax={"LIBARCHIVE.xattr.user.k": value})))
    assert text == "a: the extended attribute user.k is not base64"


@pytest.mark.parametrize("keyword", ["SCHILY.xattr.", "LIBARCHIVE.xattr.", "LIBARCHIVE.xattr.a%00b"])
def test_an_xattr_without_a_usable_name_is_refused(keyword: str) -> None:
    archive = tarball.archive(tarball.file(b"a", pax={keyword: "eA"}))
    assert refusal(archive) == "a: an extended attribute has no usable name"


@pytest.mark.parametrize(
    "payload",
    [
        b"0 a=b\n",
        b"1 a=b\n",
        b"2 a=b\n",
        b"5 a=b\n",
        b"7 a=b\n",
        b"60 a=b\n",
        b"99999999999999999999999999999 a=b\n",
        b"-6 a=b\n",
        b"+6 a=b\n",
        b"0x6 a=b\n",
        b" 6 a=b\n",
        b"six a=b\n",
        b"6a=bcd\n",
        b"6 a=b",
        b"6 a=bc",
        b"6 abc\n",
        b"6 =bc\n",
        b"7 a\0=b\n",
        b"6 a=b\n\0\0",
        b"6 a=b\n6 ",
        b"\n",
        b"\0" * 40,
        "٦ a=b\n".encode(),
    ],
)
def test_malformed_records_are_refused(payload: bytes) -> None:
    for flag in (b"x", b"g"):
        text = refusal(tarball.archive(tarball.extension(payload, flag), tarball.raw_header(b"a")))
        assert text.startswith("at byte 0: a PAX record")


def test_records_may_fill_their_blocks_exactly() -> None:
    value = "v" * (512 - len("512 comment=\n"))
    assert len(tarball.record("comment", value)) == 512
    assert with_pax({"comment": value}).name == b"a"


@pytest.mark.parametrize("flag", [b"x", b"L", b"K"])
@pytest.mark.parametrize("end", [b"", bytes(512), bytes(1024)])
def test_an_extension_without_an_entry_is_refused(flag: bytes, end: bytes) -> None:
    payload = b"name\0" if flag != b"x" else tarball.record("path", "x")
    text = refusal(tarball.extension(payload, flag) + end)
    assert text == "at byte 1024: an extension header has no entry after it"


@pytest.mark.parametrize("flag", [b"x", b"g", b"L", b"K"])
def test_an_archive_that_ends_within_an_extension_is_refused(flag: bytes) -> None:
    assert refusal(tarball.extension(b"n" * 600, flag)[:900]).endswith("the archive ends within an extension header")


@pytest.mark.parametrize("flag", [b"x", b"g", b"L", b"K"])
def test_a_chain_of_extension_headers_is_bounded(flag: bytes) -> None:
    link = tarball.extension(tarball.record("path", "x") if flag in {b"x", b"g"} else b"x\0", flag)
    assert only(tarball.archive(link * 32, tarball.raw_header(b"a"))).name in {b"a", b"x"}
    text = refusal(tarball.archive(link * 33, tarball.raw_header(b"a")))
    assert text.endswith("more than 32 extension headers stand before one entry")


@pytest.mark.parametrize("flag", [b"x", b"g", b"L", b"K"])
@pytest.mark.parametrize("size", [(1 << 20) + 1, 1 << 30, 1 << 62])
def test_a_large_extension_is_refused_before_it_is_read(flag: bytes, size: int) -> None:
    text = refusal(tarball.raw_header(b"x", flag, size=size))
    assert text == "at byte 0: the size of its extension headers is over the limit of 1048576 (pax_record)"


def test_the_extensions_of_one_entry_count_together() -> None:
    limits = Limits(pax_record=1000)
    name = tarball.extension(b"n" * 600, b"L")
    assert [entry.name for entry in entries(tarball.archive(*[name, tarball.raw_header(b"a")] * 3), limits)] == [
        b"n" * 600
    ] * 3
    both = tarball.archive(name, tarball.extension(b"t" * 600, b"K"), tarball.symlink(b"a", b"b"))
    assert "(pax_record)" in refusal(both, limits)


def test_a_megabyte_of_tiny_records_is_read_in_one_go() -> None:
    payload = tarball.record("a", "b") * 170_000
    assert only(tarball.archive(tarball.extension(payload), tarball.raw_header(b"a"))).name == b"a"
