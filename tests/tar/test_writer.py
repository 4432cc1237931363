"""The writer: what it writes is read back the same, by this package's reader and by other programs."""

import io
import os
import stat
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tar.reading import content, contents, entries, only
from unionfs.tar import Entry, Kind, Reader, TarError, Writer

BLOCK = 512
FILE = Entry(
    name=b"etc/file",
    kind=Kind.FILE,
    mode=0o644,
    uid=0,
    gid=0,
    size=0,
    mtime_ns=0,
    atime_ns=None,
    linkname=b"",
    devmajor=0,
    devminor=0,
    xattrs=MappingProxyType({}),
    sparse=None,
)
DIR = replace(FILE, name=b"etc/", kind=Kind.DIR, mode=0o755)
LINK = replace(FILE, name=b"link", kind=Kind.SYMLINK, mode=0o777, linkname=b"target")
HARD = replace(FILE, name=b"hard", kind=Kind.HARDLINK, linkname=b"etc/file")


Member = Entry | tuple[Entry, bytes]
"""An entry without content, or with it."""


def written(*members: Member) -> bytes:
    out = io.BytesIO()
    writer = Writer(out)
    for member in members:
        if isinstance(member, Entry):
            writer.add(member)
        else:
            writer.add(member[0], io.BytesIO(member[1]))
    writer.finish()
    return out.getvalue()


def file(data: bytes, **fields: object) -> tuple[Entry, bytes]:
    return replace(FILE, size=len(data), **fields), data  # type: ignore[arg-type] # the fields of an entry by name


EVERY_KIND: list[Member] = [
    DIR,
    file(b"x" * 700, mode=0o6755, uid=7, gid=8, mtime_ns=1_700_000_000_000_000_000),
    LINK,
    HARD,
    replace(FILE, name=b"dev/c", kind=Kind.CHAR, devmajor=5, devminor=1),
    replace(FILE, name=b"dev/b", kind=Kind.BLOCK, devmajor=4095, devminor=1048575),
    replace(FILE, name=b"run/fifo", kind=Kind.FIFO),
]


def test_every_kind_of_entry_is_read_back_the_same() -> None:
    assert entries(written(*EVERY_KIND)) == [m if isinstance(m, Entry) else m[0] for m in EVERY_KIND]


def test_what_ustar_can_hold_takes_one_block_of_header() -> None:
    assert len(written(FILE)) == 3 * BLOCK
    assert len(written(file(b"x"))) == 4 * BLOCK
    assert len(written(replace(FILE, name=b"p" * 155 + b"/" + b"n" * 100))) == 3 * BLOCK
    assert written(FILE)[257:265] == b"ustar\x0000"


def test_an_archive_ends_in_two_blocks_of_zeros() -> None:
    assert written() == bytes(2 * BLOCK)


def test_the_content_of_files_is_padded_to_whole_blocks() -> None:
    members = [file(b"x" * size, name=b"%d" % size) for size in (0, 1, 511, 512, 513, 3 << 20)]
    archive = written(*members)
    assert len(archive) % BLOCK == 0
    assert contents(archive) == {entry.name: data for entry, data in members}


@pytest.mark.parametrize(
    "name",
    [
        b"n" * 100,
        b"n" * 101,
        b"n" * 255,
        b"d/" * 60 + b"f",
        b"p" * 155 + b"/" + b"n" * 100,
        b"p" * 156 + b"/" + b"n" * 99,
        b"/" + b"n" * 100,
        b"/absolute",
        b"./here",
        b"x/" * 2000 + b"f",
        "é".encode(),
        b"no\xffutf-8",
        b"odd\nname",
        b"= 1",
    ],
)
def test_any_name_is_exact(name: bytes) -> None:
    assert only(written(replace(FILE, name=name))).name == name
    assert only(written(replace(DIR, name=name + b"/"))).name == name + b"/"
    assert only(written(replace(HARD, linkname=name))).linkname == name
    assert only(written(replace(LINK, linkname=name))).linkname == name


def test_a_directory_is_written_with_a_slash() -> None:
    assert only(written(replace(DIR, name=b"etc"))).name == b"etc/"


@pytest.mark.parametrize("count", [0, 1, 2_097_151, 2_097_152, 4_294_967_294])
def test_any_owner_is_exact(count: int) -> None:
    entry = only(written(replace(FILE, uid=count, gid=count)))
    assert (entry.uid, entry.gid) == (count, count)


@pytest.mark.parametrize(
    "count", [0, 1, -1, 999_999_999, 1_500_000_000, -1_500_000_000, (8**11) * 10**9, (8**11 - 1) * 10**9, -(10**18)]
)
def test_any_time_is_exact_to_the_nanosecond(count: int) -> None:
    entry = only(written(replace(FILE, mtime_ns=count, atime_ns=count)))
    assert (entry.mtime_ns, entry.atime_ns) == (count, count)


def test_a_time_stands_in_the_header_too_where_it_can() -> None:
    """So that a reader that knows no PAX has it to the second."""
    archive = written(replace(FILE, mtime_ns=1_500_000_001))
    assert archive[2 * BLOCK + 136 : 2 * BLOCK + 148] == b"00000000001\0"


def test_any_extended_attribute_is_exact() -> None:
    values = {b"user.z": b"\0\n=\xff", b"user.empty": b"", b"user.a=b%3D=": b"v\0", b"security.capability": b"\1" * 20}
    assert dict(only(written(replace(FILE, xattrs=values))).xattrs) == values


def test_the_bytes_depend_on_what_the_entries_say_alone() -> None:
    values = {b"user.b": b"2", b"user.a": b"1"}
    turned = dict(reversed(values.items()))
    made = [written(replace(FILE, xattrs=x, mtime_ns=5, uid=10**9)) for x in (values, turned)]
    assert made[0] == made[1]
    assert made[0].index(b"user.a") < made[0].index(b"user.b")
    assert made[0].startswith(b"././@PaxHeader\0")


class _Zeros:
    """Content of any size, read without keeping it."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int, /) -> bytes:
        piece = bytes(min(size, self.left))
        self.left -= len(piece)
        return piece


class _Start:
    """Keeps the first bytes that are written, and counts the rest."""

    def __init__(self) -> None:
        self.kept = b""
        self.count = 0

    def write(self, piece: bytes, /) -> None:
        self.kept += piece[: max(0, 4096 - len(self.kept))]
        self.count += len(piece)


@pytest.mark.parametrize(("size", "headers"), [(8**11 - 1, 1), (8**11, 3)])
def test_a_file_larger_than_ustar_can_say_has_a_record_of_its_size(size: int, headers: int) -> None:
    out = _Start()
    with pytest.raises(TarError, match=f"its content ends after 5 of {size} bytes"):
        Writer(out).add(replace(FILE, size=size), _Zeros(5))
    assert out.count == headers * BLOCK + 5
    assert next(iter(Reader(io.BytesIO(out.kept)))).size == size


def refused(entry: Entry, data: bytes | None = None) -> str:
    out = io.BytesIO()
    writer = Writer(out)
    with pytest.raises(TarError) as caught:
        writer.add(entry, None if data is None else io.BytesIO(data))
    with pytest.raises(RuntimeError, match="incomplete"):
        writer.finish()
    return str(caught.value)


def test_content_that_is_shorter_or_longer_than_said_is_an_error() -> None:
    assert refused(replace(FILE, size=3), b"ab") == "etc/file: its content ends after 2 of 3 bytes"
    assert refused(replace(FILE, size=3)) == "etc/file: its content ends after 0 of 3 bytes"
    assert refused(replace(FILE, size=3), b"abcd") == "etc/file: its content is longer than its size of 3 bytes"
    assert refused(FILE, b"a") == "etc/file: its content is longer than its size of 0 bytes"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (replace(FILE, name=b""), "an entry has no name"),
        (replace(FILE, name=b"a\0b"), "holds a NUL"),
        (replace(LINK, linkname=b"a\0b"), "holds a NUL"),
        (replace(FILE, name=b"a/"), "ends in a slash"),
        (replace(DIR, size=1), "a directory has no content"),
        (replace(FILE, linkname=b"x"), "a file has a target"),
        (replace(LINK, linkname=b""), "a symbolic link has no target"),
        (replace(HARD, linkname=b""), "a hard link has no target"),
        (replace(FILE, uid=-1), "its uid -1 is outside"),
        (replace(FILE, gid=1 << 32), "its gid 4294967296 is outside"),
        (replace(FILE, size=-1), "its size is negative"),
        (replace(FILE, mtime_ns=1 << 100), "its mtime is out of range"),
        (replace(FILE, atime_ns=-(1 << 100)), "its atime is out of range"),
        (replace(FILE, kind=Kind.CHAR, devmajor=4096), "its device major 4096 is outside"),
        (replace(FILE, kind=Kind.CHAR, devminor=1 << 20), "its device minor 1048576 is outside"),
        (replace(FILE, xattrs={b"": b"x"}), "no usable name"),
    ],
)
def test_what_no_archive_can_hold_is_refused(entry: Entry, reason: str) -> None:
    assert reason in refused(entry)


def test_an_error_of_the_sink_passes_through() -> None:
    class Full:
        def write(self, _piece: bytes, /) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        Writer(Full()).add(FILE)


ODD_MEMBERS: list[Member] = [
    replace(DIR, name=b"d/", mode=0o1777, mtime_ns=5_250_000_000),
    file(b"long", name=b"d/" + b"n" * 200, mtime_ns=1_600_000_000_123_456_789),
    file(b"prefix", name=b"d/" + b"p" * 90 + b"/" + b"n" * 90, mode=0o600),
    file(b"umlaut", name="d/é".encode(), uid=3_000_000, gid=4_000_000),
    file(b"bytes", name=b"d/no\xffutf-8", mtime_ns=-1_500_000_000),
    replace(LINK, name=b"d/link", linkname=b"t" * 300),
    replace(HARD, name=b"d/hard", linkname=b"d/" + b"n" * 200),
    replace(FILE, name=b"d/fifo", kind=Kind.FIFO, mode=0o622),
    file(b"attributes", name=b"d/x", xattrs={b"user.text": b"\0\n=\xff", b"user.empty": b""}),
]


@pytest.mark.skipif(os.geteuid() != 0, reason="owners can be given only by root")
def test_gnu_tar_extracts_what_is_written(tmp_path: Path) -> None:
    command = ["tar", "-x", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-p", "-C", str(tmp_path)]
    done = subprocess.run(command, input=written(*ODD_MEMBERS), capture_output=True, check=True)
    # It leaves out by itself what an archive of a file from the future or before 1970 makes it say.
    assert b"implausibly old" in done.stderr or not done.stderr
    for member in ODD_MEMBERS:
        entry, data = member if isinstance(member, tuple) else (member, b"")
        path = os.path.join(os.fsencode(tmp_path), entry.name.rstrip(b"/"))
        found = os.lstat(path)
        if entry.kind is Kind.HARDLINK:
            assert os.path.samefile(path, os.path.join(os.fsencode(tmp_path), entry.linkname))
            continue
        assert (found.st_uid, found.st_gid, found.st_mtime_ns) == (entry.uid, entry.gid, entry.mtime_ns)
        if entry.kind is Kind.SYMLINK:
            assert os.readlink(path) == entry.linkname
        else:
            assert stat.S_IMODE(found.st_mode) == entry.mode
        if entry.kind is Kind.FILE:
            with open(path, "rb") as opened:
                assert opened.read() == data
            assert {os.fsencode(key): os.getxattr(path, key) for key in os.listxattr(path)} == entry.xattrs


def test_tarfile_reads_what_is_written() -> None:
    with tarfile.open(fileobj=io.BytesIO(written(*ODD_MEMBERS)), errors="surrogateescape") as archive:
        for member in ODD_MEMBERS:
            entry, data = member if isinstance(member, tuple) else (member, b"")
            found = archive.next()
            assert found is not None
            assert os.fsencode(found.name) == entry.name.rstrip(b"/")
            assert os.fsencode(found.linkname) == entry.linkname
            assert (found.mode, found.uid, found.gid) == (entry.mode, entry.uid, entry.gid)
            assert found.mtime == pytest.approx(entry.mtime_ns / 1e9)
            if entry.kind is Kind.FILE:
                opened = archive.extractfile(found)
                assert opened is not None
                assert opened.read() == data
        assert archive.next() is None


names = st.binary(min_size=1, max_size=400).filter(lambda name: b"\0" not in name and not name.endswith(b"/"))
xattr_names = st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name)
times = st.integers(-(1 << 63) * 10**9, (1 << 63) * 10**9 - 1) | st.integers(-(10**19), 10**19)


@st.composite
def members(draw: st.DrawFn) -> tuple[Entry, bytes]:
    kind = draw(st.sampled_from(Kind))
    data = draw(st.binary(max_size=1500)) if kind is Kind.FILE else b""
    device = kind in (Kind.CHAR, Kind.BLOCK)
    made = Entry(
        name=draw(names) + (b"/" if kind is Kind.DIR else b""),
        kind=kind,
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(st.integers(0, 4294967294)),
        gid=draw(st.integers(0, 4294967294)),
        size=len(data),
        mtime_ns=draw(times),
        atime_ns=draw(st.none() | times),
        linkname=draw(names) if kind in (Kind.SYMLINK, Kind.HARDLINK) else b"",
        devmajor=draw(st.integers(0, 4095)) if device else 0,
        devminor=draw(st.integers(0, 1048575)) if device else 0,
        xattrs=draw(st.dictionaries(xattr_names, st.binary(max_size=100), max_size=3)),
        sparse=None,
    )
    return made, data


@settings(derandomize=True, deadline=None)
@given(st.lists(members(), max_size=5))
def test_any_entries_are_read_back_the_same(listed: list[tuple[Entry, bytes]]) -> None:
    reader = Reader(io.BytesIO(written(*(member if member[1] else member[0] for member in listed))))
    found = [(entry, content(entry, reader.chunks())) for entry in reader]
    assert found == listed
