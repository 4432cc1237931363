"""Members of a tar archive, looked up by name and read in place."""

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import tarball
from unionfs.archive import ArchiveError, Limits
from unionfs.archive.indexed import indexed
from unionfs.archive.members import Members

Opener = Callable[..., Members]


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Opener]:
    opened: list[Members] = []

    def index(archive: bytes, limits: Limits | None = None) -> Members:
        path = tmp_path / "archive.tar"
        path.write_bytes(archive)
        with open(path, "rb") as file:
            found = indexed(file.fileno(), len(archive), limits or Limits())
        opened.append(found)
        return found

    yield index
    for found in opened:
        found.close()


def content(found: Members, path: str) -> bytes:
    with found.open(path) as window:
        return window.read()


def refusal(found: Members, path: str) -> str:
    with pytest.raises(ArchiveError) as error:
        found.open(path)
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 3_000_000])
def test_content_is_read_from_its_place(members: Opener, size: int) -> None:
    wanted = os.urandom(size)
    found = members(
        tarball.archive(tarball.file(b"a", b"first"), tarball.file(b"b", wanted), tarball.file(b"c", b"last"))
    )
    assert content(found, "b") == wanted
    assert content(found, "c") == b"last"
    assert content(found, "a") == b"first"


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
def test_content_after_extension_headers_is_read_from_its_place(members: Opener, form: int) -> None:
    buffer = io.BytesIO()
    long = "directory/" * 40
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for number in range(50):
            info = tarfile.TarInfo(long + str(number))
            info.size = number * 37
            tar.addfile(info, io.BytesIO(bytes([number]) * info.size))
    found = members(buffer.getvalue())
    for number in range(50):
        assert content(found, long + str(number)) == bytes([number]) * (number * 37)


@pytest.mark.parametrize("stored", [b"./a/b", b"/a/b", b"a//b", b"././a/./b"])
@pytest.mark.parametrize("asked", ["a/b", "./a/b", "/a//b"])
def test_names_are_compared_in_their_one_form(members: Opener, stored: bytes, asked: str) -> None:
    assert content(members(tarball.archive(tarball.file(stored, b"x"))), asked) == b"x"


def test_of_members_with_one_name_the_last_counts(members: Opener) -> None:
    found = members(tarball.archive(tarball.file(b"a", b"old"), tarball.file(b"./a", b"new")))
    assert content(found, "a") == b"new"


def test_a_name_that_steps_up_is_never_found(members: Opener) -> None:
    found = members(tarball.archive(tarball.file(b"../a", b"x"), tarball.file(b"b/../c", b"x")))
    assert found.top_names() == set()
    assert "leads out of the archive" in refusal(found, "../a")
    assert "leads out of the archive" in refusal(found, "b/../c")


@pytest.mark.parametrize("path", ["/etc/passwd", "etc/passwd", "a/b/c", "", "."])
def test_only_members_are_found(members: Opener, path: str) -> None:
    assert "is missing in the archive" in refusal(members(tarball.archive(tarball.file(b"a", b"x"))), path)


@pytest.mark.parametrize(
    "member",
    [
        tarball.directory(b"a"),
        tarball.fifo(b"a"),
        tarball.char(b"a", 1, 3),
        tarball.block(b"a", 8, 0),
        tarball.gnu_sparse(b"a", [(0, b"x" * 512)], 4096),
        tarball.pax_sparse(b"a", [(0, b"x" * 512)], 4096),
    ],
    ids=["directory", "fifo", "character device", "block device", "GNU sparse", "PAX sparse"],
)
def test_what_is_no_plain_file_is_refused(members: Opener, member: bytes) -> None:
    found = members(tarball.archive(member, tarball.file(b"b", b"after")))
    assert "no plain file" in refusal(found, "a")
    assert content(found, "b") == b"after"


@pytest.mark.parametrize("target", [b"../1/layer.tar", b"./.././1//layer.tar", b"../2/../1/layer.tar"])
@pytest.mark.parametrize("first", ["link", "target"])
def test_a_symbolic_link_to_a_member_is_followed_wherever_it_stands(members: Opener, target: bytes, first: str) -> None:
    parts = [tarball.symlink(b"2/layer.tar", target), tarball.file(b"1/layer.tar", b"layer")]
    found = members(tarball.archive(*(parts if first == "link" else reversed(parts))))
    assert content(found, "2/layer.tar") == b"layer"


@pytest.mark.parametrize("target", [b"1/layer.tar", b"./1/layer.tar"])
def test_a_hard_link_to_a_member_is_followed(members: Opener, target: bytes) -> None:
    found = members(tarball.archive(tarball.file(b"1/layer.tar", b"layer"), tarball.hardlink(b"2/layer.tar", target)))
    assert content(found, "2/layer.tar") == b"layer"


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([tarball.symlink(b"a", b"b"), tarball.symlink(b"b", b"c"), tarball.file(b"c")], "a link to the link"),
        ([tarball.symlink(b"a", b"a")], "a link to the link"),
        ([tarball.symlink(b"a", b"b"), tarball.symlink(b"b", b"a")], "a link to the link"),
        ([tarball.hardlink(b"a", b"b"), tarball.symlink(b"b", b"c"), tarball.file(b"c")], "a link to the link"),
        ([tarball.symlink(b"a", b"nowhere")], "which is missing in the archive"),
        ([tarball.symlink(b"a", b"")], "which is missing in the archive"),
        ([tarball.symlink(b"a", b"/etc/passwd")], "leads out of the archive"),
        ([tarball.symlink(b"a", b"../etc/passwd")], "leads out of the archive"),
        ([tarball.symlink(b"a", b"b/../../c"), tarball.file(b"c")], "leads out of the archive"),
        ([tarball.hardlink(b"a", b"../etc/passwd")], "leads out of the archive"),
        ([tarball.hardlink(b"a", b"/etc/passwd")], "which is missing in the archive"),
        ([tarball.symlink(b"a", b"d"), tarball.directory(b"d")], "no plain file"),
    ],
)
def test_a_link_to_anything_but_a_file_of_the_archive_is_refused(
    members: Opener, parts: list[bytes], reason: str
) -> None:
    assert reason in refusal(members(tarball.archive(*parts)), "a")


def test_names_in_errors_are_escaped(members: Opener) -> None:
    found = members(tarball.archive(tarball.symlink(b"a", b"\x1b[2J\n\xff")))
    assert r'"\x1b[2J\n\xff"' in refusal(found, "a")
    assert r'"\x1b]0;x\x07"' in refusal(found, "\x1b]0;x\x07")


def test_top_names_are_the_first_parts(members: Opener) -> None:
    found = members(tarball.archive(tarball.directory(b"./"), tarball.file(b"./etc/x"), tarball.file(b"a")))
    assert found.top_names() == {"etc", "a"}


@pytest.mark.parametrize("cut", [1, 511, 513, 1023, 1536 - 1])
def test_an_archive_cut_off_is_refused(members: Opener, cut: int) -> None:
    whole = tarball.archive(tarball.file(b"a", b"x" * 1000), end=False)
    with pytest.raises(ArchiveError, match="not a whole tar archive"):
        members(whole[:cut] if cut < 1512 else whole[:1000])


@pytest.mark.parametrize("archive", [b"text\n" * 300, b"\x7fELF" + bytes(2000), b"short"])
def test_what_is_no_archive_is_refused(members: Opener, archive: bytes) -> None:
    with pytest.raises(ArchiveError, match="not a whole tar archive"):
        members(archive)


def test_a_declared_size_beyond_the_file_is_refused_at_once(members: Opener) -> None:
    with pytest.raises(ArchiveError, match="not a whole tar archive"):
        members(tarball.raw_header(b"a", size=1 << 62) + bytes(4096))


def test_more_members_than_the_limit_are_refused(members: Opener) -> None:
    archive = tarball.archive(*(tarball.file(b"%d" % number) for number in range(11)))
    assert len(members(archive, Limits(members=11)).top_names()) == 11
    with pytest.raises(ArchiveError, match="over the limit of 10") as error:
        members(archive, Limits(members=10))
    assert error.value.limit == "members"


def test_content_is_not_read_to_index_an_archive(tmp_path: Path) -> None:
    """An archive of many gigabytes opens at once: only its headers are read."""
    size = 20 << 30
    path = tmp_path / "large.tar"
    with open(path, "wb") as file:
        file.write(tarball.raw_header(b"large", size=size))
        file.seek(size, os.SEEK_CUR)
        file.write(tarball.archive(tarball.file(b"after", b"x")))
    with open(path, "rb") as file:
        before = read_so_far()
        found = indexed(file.fileno(), path.stat().st_size, Limits())
        assert read_so_far() - before < 100_000
    assert content(found, "after") == b"x"
    with found.open("large") as window:
        assert window.size == size
    found.close()


def read_so_far() -> int:
    """Return the bytes that this process has read with system calls."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


def test_a_closed_archive_opens_nothing_but_open_members_stay_readable(members: Opener) -> None:
    found = members(tarball.archive(tarball.file(b"a", b"content")))
    window = found.open("a")
    found.close()
    found.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        found.open("a")
    assert window.read() == b"content"
    window.close()
