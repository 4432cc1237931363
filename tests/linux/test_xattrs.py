"""Extended attributes by path and by descriptor (xattr(7))."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from unionfs.linux import xattrs
from unionfs.linux.xattrs import File


@pytest.fixture(params=["path", "descriptor"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[File]:
    (tmp_path / "f").touch()
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    yield os.fsencode(tmp_path / "f") if request.param == "path" else fd
    os.close(fd)


def test_a_value_is_set_read_listed_and_removed(file: File) -> None:
    assert xattrs.list_names(file) == []
    assert xattrs.get(file, b"user.a") is None
    xattrs.set_(file, b"user.a", b"\0binary\xff")
    xattrs.set_(file, b"user.empty", b"")
    assert sorted(xattrs.list_names(file)) == [b"user.a", b"user.empty"]
    assert xattrs.get(file, b"user.a") == b"\0binary\xff"
    assert xattrs.get(file, b"user.empty") == b""
    xattrs.remove(file, b"user.a")
    assert xattrs.list_names(file) == [b"user.empty"]


def test_names_are_bytes(file: File) -> None:
    for name in (b"user.\xff\xfe", b"user.\n", b"user." + b"x" * 250):
        xattrs.set_(file, name, b"v")
        assert xattrs.get(file, name) == b"v"
    assert len(xattrs.list_names(file)) == 3


def test_flags_say_whether_it_must_be_there(file: File) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.ENODATA)):
        xattrs.set_(file, b"user.a", b"1", xattrs.REPLACE)
    xattrs.set_(file, b"user.a", b"1", xattrs.CREATE)
    with pytest.raises(FileExistsError):
        xattrs.set_(file, b"user.a", b"2", xattrs.CREATE)
    xattrs.set_(file, b"user.a", b"3", xattrs.REPLACE)
    assert xattrs.get(file, b"user.a") == b"3"


def test_what_is_absent_cannot_be_removed_but_discarded(file: File) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.ENODATA)):
        xattrs.remove(file, b"user.a")
    xattrs.discard(file, b"user.a")
    xattrs.set_(file, b"user.a", b"1")
    xattrs.discard(file, b"user.a")
    assert xattrs.get(file, b"user.a") is None


def test_a_big_value_is_read_whole(file: File) -> None:
    value = os.urandom(3000)
    xattrs.set_(file, b"user.big", value)
    assert xattrs.get(file, b"user.big") == value


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    missing = os.fsencode(tmp_path / "missing")
    for attempt in (
        lambda: xattrs.list_names(missing),
        lambda: xattrs.get(missing, b"user.a"),
        lambda: xattrs.set_(missing, b"user.a", b""),
        lambda: xattrs.remove(missing, b"user.a"),
        lambda: xattrs.discard(missing, b"user.a"),
    ):
        with pytest.raises(FileNotFoundError):
            attempt()


def test_a_final_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "link").symlink_to("f")
    link = os.fsencode(tmp_path / "link")
    xattrs.set_(link, b"trusted.a", b"1")
    assert xattrs.list_names(link) == [b"trusted.a"]
    assert xattrs.list_names(os.fsencode(tmp_path / "f")) == []
    with pytest.raises(PermissionError):
        xattrs.set_(link, b"user.a", b"1")


def test_a_file_system_without_attributes_has_none() -> None:
    assert xattrs.list_names(b"/proc/self/status") == []
    assert xattrs.get(b"/proc/self/status", b"user.a") is None


def test_a_value_that_grows_between_the_questions_is_read_whole() -> None:
    failures = [OSError(errno.ERANGE, "grew"), OSError(errno.ERANGE, "grew")]

    def read() -> bytes:
        if failures:
            raise failures.pop()
        return b"whole"

    assert xattrs._while_it_grows(read) == b"whole"


@pytest.mark.parametrize("name", [b"", b"user." + b"x" * 251])
def test_a_name_that_no_attribute_can_have_is_an_error(file: File, name: bytes) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.ERANGE)):
        xattrs.get(file, name)
